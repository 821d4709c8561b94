-- One row per customer: small, for the database of version 0.1.0.
WITH bought AS (
    SELECT
        customer_id,
        count(DISTINCT order_id) AS lifetime_orders,
        sum(quantity * unit_price) AS lifetime_value,
        max(ordered_at)::DATE AS last_order_date,
        list_sort(list(DISTINCT product_name)) AS products
    FROM orders
    WHERE ordered_at < $as_of + INTERVAL 1 DAY
    GROUP BY customer_id
),
opted AS (
    SELECT customer_id, arg_max(opted_in, changed_at) AS email_opted_in
    FROM consents
    WHERE channel = 'email' AND changed_at < $as_of + INTERVAL 1 DAY
    GROUP BY customer_id
)
SELECT
    c.customer_id,
    c.given_name,
    c.email,
    c.phone,
    c.country,
    c.loyalty_status,
    coalesce(b.lifetime_orders, 0) AS lifetime_orders,
    coalesce(b.lifetime_value, 0) AS lifetime_value,
    ($as_of - b.last_order_date)::INTEGER AS l12m_recency,
    b.last_order_date,
    b.products,
    coalesce(o.email_opted_in, false) AS email_opted_in,
    false AS sms_opted_in,
    NULL::DOUBLE AS predicted_clv
FROM customers c
LEFT JOIN bought b USING (customer_id)
LEFT JOIN opted o USING (customer_id)
