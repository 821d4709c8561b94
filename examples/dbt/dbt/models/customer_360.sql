-- One row per customer, as they are now.
WITH

invoices AS (
    SELECT
        customer_id,
        min(ordered_at)::DATE AS day,
        sum(quantity::DECIMAL(18, 4) * unit_price::DECIMAL(19, 4))::DECIMAL(18, 2) AS net,
        -- Cancellations are invoices of their own, which begin with C.
        NOT starts_with(order_id, 'C') AND net > 0 AS is_purchase
    FROM {{ source('shop', 'orders') }}
    WHERE customer_id IS NOT NULL
    GROUP BY customer_id, order_id
),

purchases AS (
    SELECT
        customer_id,
        count(*) FILTER (is_purchase) AS lifetime_orders,
        sum(net) AS lifetime_value,
        max(day) FILTER (is_purchase) AS last_order_date
    FROM invoices
    GROUP BY customer_id
),

-- The last change of each channel is what the customer wants now; of two at the same time, the opt-out.
-- No value is an opt-out. An opt-out without a date wins, because it may be the last change; an opt-in without
-- one proves nothing.
consents AS (
    SELECT
        customer_id,
        max_by(is_opt_in, (changed_at IS NULL, changed_at, NOT is_opt_in))
            FILTER (channel = 'email') AS email_opted_in,
        max_by(is_opt_in, (changed_at IS NULL, changed_at, NOT is_opt_in))
            FILTER (channel = 'sms') AS sms_opted_in
    FROM (
        SELECT *, coalesce(opted_in = 'true', false) AS is_opt_in FROM {{ source('shop', 'consents') }}
    )
    WHERE changed_at IS NOT NULL OR NOT is_opt_in
    GROUP BY customer_id
)

SELECT
    c.customer_id,
    c.given_name,
    c.surname,
    c.email,
    c.phone,
    c.city,
    c.country,
    c.loyalty_status,
    coalesce(p.lifetime_orders, 0) AS lifetime_orders,
    coalesce(p.lifetime_value, 0) AS lifetime_value,
    p.last_order_date,
    coalesce(k.email_opted_in, false) AS email_opted_in,
    coalesce(k.sms_opted_in, false) AS sms_opted_in
FROM {{ source('shop', 'customers') }} AS c
LEFT JOIN purchases AS p USING (customer_id)
LEFT JOIN consents AS k USING (customer_id)
