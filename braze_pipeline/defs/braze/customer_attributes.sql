-- The customer attributes table: one row per customer, as of the end of the day $as_of.
--
-- This file is yours. It is DuckDB SQL over the views customers, orders, consents and predictions
-- (their columns are in the README), and must give one row per customer_id. $as_of is a DATE; rows
-- dated after it must not be used, and every CTE below excludes them itself.
-- Ties are always broken in the same way, so that the same data gives the same row, and nothing is
-- sent without a reason.

WITH

-- Order lines up to the end of the day. Lines without a customer are excluded, and lines without a
-- quantity or price add nothing; the run counts both. A line is charged in whole pence. Money is
-- multiplied and added as decimals: otherwise 3 * 1.005 is 3.0149999999999997, and sums depend on
-- the order of the lines. A product of DECIMAL(18, 4) ends below 10 billion; one with DECIMAL(19, 4)
-- has room for any currency, and takes far longer.
lines AS NOT MATERIALIZED (
    SELECT
        customer_id,
        order_id,
        ordered_at,
        trim(product_name) AS product_name,
        quantity,
        CASE
            WHEN abs(quantity * unit_price) < 1000000000
                THEN (quantity::DECIMAL(18, 4) * unit_price::DECIMAL(18, 4))::DECIMAL(18, 2)
            ELSE (quantity::DECIMAL(18, 4) * unit_price::DECIMAL(19, 4))::DECIMAL(18, 2)
        END AS amount,
        -- In this data, product codes begin with a digit. POST, M, D, BANK CHARGES, gift vouchers
        -- and the like count as money, but are never favourites or returned products.
        left(product_id, 1) BETWEEN '0' AND '9' AS is_product
    FROM orders
    WHERE customer_id IS NOT NULL
      AND ordered_at < $as_of + INTERVAL 1 DAY
),

-- One row per invoice, dated by its first line. It is a purchase when the customer owes money for
-- it and it is not a cancellation; cancellations are separate invoices that begin with C.
invoices AS (
    SELECT
        customer_id,
        min(ordered_at)::DATE AS day,
        sum(amount) AS net,
        sum(amount) > 0 AND NOT starts_with(order_id, 'C') AS is_purchase,
        sum(amount) FILTER (is_product AND quantity > 0) AS bought,
        -sum(amount) FILTER (is_product AND quantity < 0) AS returned
    FROM lines
    GROUP BY customer_id, order_id
),

-- One row per customer with any order line. Values are net of returns, and include postage,
-- discounts and adjustments. The last 12 months are those that end with the as-of date.
totals AS MATERIALIZED (
    SELECT
        customer_id,
        sum(net) AS lifetime_value,
        count(*) FILTER (is_purchase) AS lifetime_orders,
        sum(net) FILTER (is_purchase) AS purchase_value,
        sum(net) FILTER (day > $as_of - INTERVAL 12 MONTH) AS l12m_monetary,
        count(*) FILTER (is_purchase AND day > $as_of - INTERVAL 12 MONTH) AS l12m_frequency,
        min(day) FILTER (is_purchase) AS first_order_date,
        (min(day, 2) FILTER (is_purchase))[2] AS second_order_date,
        max(day) FILTER (is_purchase) AS last_order_date,
        sum(bought) AS bought,
        coalesce(sum(returned), 0) AS returned
    FROM invoices
    GROUP BY customer_id
),

-- Where the fifths and the tiers begin, among the customers who ever bought. Comparing with these
-- borders gives equal customers equal scores, and costs less than ranking everyone.
borders AS (
    SELECT
        quantile_disc(last_order_date, [0.2, 0.4, 0.6, 0.8]) AS recency,
        quantile_disc(lifetime_orders, [0.2, 0.4, 0.6, 0.8]) AS frequency,
        quantile_disc(lifetime_value, [0.2, 0.4, 0.6, 0.8]) AS monetary,
        quantile_disc(lifetime_value, [0.40, 0.75, 0.95]) AS tier
    FROM totals
    WHERE lifetime_orders > 0
),

-- A score is 1 plus the number of borders that the customer is above: 5-5-5 is the best.
scores AS (
    SELECT
        customer_id,
        1 + len(list_filter(recency, lambda border: last_order_date > border)) AS recency_score,
        1 + len(list_filter(frequency, lambda border: lifetime_orders > border)) AS frequency_score,
        1 + len(list_filter(monetary, lambda border: lifetime_value > border)) AS monetary_score,
        CASE len(list_filter(tier, lambda border: lifetime_value > border))
            WHEN 3 THEN 'Platinum'
            WHEN 2 THEN 'Gold'
            WHEN 1 THEN 'Silver'
            ELSE 'Bronze'
        END AS value_tier
    FROM totals, borders
    WHERE lifetime_orders > 0
),

-- How often and how much of each product a customer bought. Products are grouped by name, because
-- the name is what is sent, and Braze keeps the values of an array unique.
products AS (
    SELECT
        customer_id,
        product_name,
        count(*) AS times,
        sum(quantity) AS pieces
    FROM lines
    WHERE is_product AND amount > 0 AND product_name <> ''
    GROUP BY customer_id, product_name
),

-- The five products bought most often, then in the largest number, then by name. They are picked
-- one by one because lists that grow while millions of customers are grouped must fit in memory.
favourites AS (
    SELECT
        customer_id,
        list_filter(
            [
                max(product_name) FILTER (place = 1),
                max(product_name) FILTER (place = 2),
                max(product_name) FILTER (place = 3),
                max(product_name) FILTER (place = 4),
                max(product_name) FILTER (place = 5)
            ],
            lambda name: name IS NOT NULL
        ) AS favourite_products
    FROM (
        SELECT
            customer_id,
            product_name,
            row_number() OVER (
                PARTITION BY customer_id ORDER BY times DESC, pieces DESC, product_name
            ) AS place
        FROM products
    )
    WHERE place <= 5
    GROUP BY customer_id
),

-- The last change decides about consent. Of two changes at the same time the withdrawal counts, and
-- a change without a value counts as a withdrawal. A withdrawal without a date wins over every change:
-- it may be the last one. An opt-in without a date proves nothing and is left out. The key has two
-- parts, because a third would cost much memory where there are millions of customers.
consent AS (
    SELECT
        customer_id,
        max_by(coalesce(opted_in, false), (moment, opted_in IS NOT true))
            FILTER (channel = 'email') AS email_opted_in,
        max_by(coalesce(opted_in, false), (moment, opted_in IS NOT true))
            FILTER (channel = 'sms') AS sms_opted_in
    FROM (
        SELECT *, coalesce(changed_at, $as_of + INTERVAL 1 DAY) AS moment
        FROM consents
    )
    WHERE changed_at < $as_of + INTERVAL 1 DAY
       OR (changed_at IS NULL AND opted_in IS NOT true)
    GROUP BY customer_id
),

-- The newest prediction up to the day; of two from the same day, the higher.
prediction AS (
    SELECT
        customer_id,
        max_by(predicted_clv, (predicted_on, predicted_clv)) AS predicted_clv
    FROM predictions
    WHERE predicted_on <= $as_of AND predicted_clv IS NOT NULL
    GROUP BY customer_id
)

SELECT
    c.customer_id,
    c.braze_id,
    -- profile fields, as they are in the source; mapping and checks come later
    c.given_name,
    c.surname,
    c.email,
    c.phone,
    c.city,
    c.country,
    c.birthdate,
    c.gender,
    c.language,
    c.time_zone,
    -- purchase behaviour
    coalesce(t.l12m_monetary, 0)::DOUBLE AS l12m_monetary,
    coalesce(t.l12m_frequency, 0) AS l12m_frequency,
    -- days since the last purchase, even if that was more than 12 months ago
    $as_of - t.last_order_date AS l12m_recency,
    coalesce(t.lifetime_value, 0)::DOUBLE AS lifetime_value,
    coalesce(t.lifetime_orders, 0) AS lifetime_orders,
    -- of purchases as they were made: returns are in the return rate; as a decimal, so that half a
    -- penny is exact when it is rounded
    (t.purchase_value / nullif(t.lifetime_orders, 0))::DECIMAL(38, 6)::DOUBLE
        AS average_order_value,
    t.first_order_date,
    t.last_order_date,
    coalesce(t.lifetime_orders, 0) = 1 AS one_and_done,
    coalesce(t.second_order_date - t.first_order_date <= 90, false) AS early_repeat_purchaser,
    s.value_tier,
    s.recency_score || '-' || s.frequency_score || '-' || s.monetary_score AS rfm_score,
    -- returned value as a share of bought value; at most 1, also when the data lacks the purchase
    CASE WHEN t.bought > 0 THEN least(t.returned / t.bought, 1)::DOUBLE END AS return_rate,
    f.favourite_products,
    (t.last_order_date - t.first_order_date) / nullif(t.lifetime_orders - 1, 0)
        AS days_between_orders,
    c.loyalty_status,
    p.predicted_clv,
    -- who may be contacted; read by the audience, never sent
    coalesce(k.email_opted_in, false) AS email_opted_in,
    coalesce(k.sms_opted_in, false) AS sms_opted_in
FROM customers AS c
LEFT JOIN totals AS t USING (customer_id)
LEFT JOIN scores AS s USING (customer_id)
LEFT JOIN favourites AS f USING (customer_id)
LEFT JOIN consent AS k USING (customer_id)
LEFT JOIN prediction AS p USING (customer_id)
