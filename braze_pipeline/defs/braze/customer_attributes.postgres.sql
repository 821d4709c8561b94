-- The customer attributes table in PostgreSQL's dialect: the same rows as customer_attributes.sql,
-- for a template with `run_in` (docs/run-in.md). It may stay here when it is not used.
--
-- It runs inside the database, over its tables customers, orders, consents and predictions: put
-- your own schema and column names in the first four CTEs. $as_of is a DATE. Rows dated after it
-- must not be used. Text is compared as bytes (COLLATE "C"), as DuckDB does, whatever the
-- database's own order is. Spaces are those of Unicode, as in DuckDB: an id of spaces alone is none,
-- and spaces around other ids are a part of them. Why the attributes are what they are is said in
-- customer_attributes.sql. A database in another encoding than UTF-8 lacks most of these spaces:
-- leave out those that it refuses.

WITH

people AS (
    SELECT
        CASE WHEN customer_id::TEXT ~ '[^ \u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]' THEN customer_id::TEXT END
            AS customer_id,
        NULL::TEXT AS braze_id,
        given_name,
        surname,
        email,
        phone,
        city,
        country,
        birthdate,
        gender,
        loyalty_status,
        language,
        NULL::TEXT AS time_zone
    FROM customers
),

lines AS (
    SELECT
        customer_id::TEXT AS customer_id,
        CASE WHEN order_id::TEXT ~ '[^ \u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]' THEN order_id::TEXT END AS order_id,
        ordered_at,
        btrim(product_name, E' \u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000')
            AS product_name,
        quantity,
        (quantity::DECIMAL(18, 4) * unit_price::DECIMAL(18, 4))::DECIMAL(18, 2) AS amount,
        left(product_id::TEXT, 1) COLLATE "C" BETWEEN '0' AND '9' AS is_product
    FROM orders
    WHERE customer_id::TEXT ~ '[^ \u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]'
      AND ordered_at < $as_of + INTERVAL '1 day'
),

consent_changes AS (
    SELECT
        customer_id::TEXT AS customer_id,
        lower(btrim(channel, E' \u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000'))
            AS channel,
        opted_in,
        changed_at
    FROM consents
    WHERE changed_at < $as_of + INTERVAL '1 day'
       OR (changed_at IS NULL AND opted_in IS NOT true)
),

-- The newest prediction up to the day; of two from the same day, the higher.
prediction AS (
    SELECT DISTINCT ON (customer_id::TEXT)
        customer_id::TEXT AS customer_id,
        predicted_clv::DOUBLE PRECISION AS predicted_clv
    FROM predictions
    WHERE predicted_on <= $as_of AND predicted_clv IS NOT NULL
    ORDER BY customer_id::TEXT, predicted_on DESC, predicted_clv DESC
),

-- One row per invoice, dated by its first line.
invoices AS (
    SELECT
        customer_id,
        min(ordered_at)::DATE AS day,
        sum(amount) AS net,
        sum(amount) > 0 AND order_id NOT LIKE 'C%' AS is_purchase,
        sum(amount) FILTER (WHERE is_product AND quantity > 0) AS bought,
        -sum(amount) FILTER (WHERE is_product AND quantity < 0) AS returned
    FROM lines
    GROUP BY customer_id, order_id
),

totals AS (
    SELECT
        customer_id,
        sum(net) AS lifetime_value,
        count(*) FILTER (WHERE is_purchase) AS lifetime_orders,
        sum(net) FILTER (WHERE is_purchase) AS purchase_value,
        sum(net) FILTER (WHERE day > $as_of - INTERVAL '12 months') AS l12m_monetary,
        count(*) FILTER (WHERE is_purchase AND day > $as_of - INTERVAL '12 months')
            AS l12m_frequency,
        min(day) FILTER (WHERE is_purchase) AS first_order_date,
        (array_agg(day ORDER BY day) FILTER (WHERE is_purchase))[2] AS second_order_date,
        max(day) FILTER (WHERE is_purchase) AS last_order_date,
        sum(bought) AS bought,
        coalesce(sum(returned), 0) AS returned
    FROM invoices
    GROUP BY customer_id
),

-- Where the fifths and the tiers begin, among the customers who ever bought.
borders AS (
    SELECT
        percentile_disc(ARRAY[0.2, 0.4, 0.6, 0.8]) WITHIN GROUP (ORDER BY last_order_date)
            AS recency,
        percentile_disc(ARRAY[0.2, 0.4, 0.6, 0.8]) WITHIN GROUP (ORDER BY lifetime_orders)
            AS frequency,
        percentile_disc(ARRAY[0.2, 0.4, 0.6, 0.8]) WITHIN GROUP (ORDER BY lifetime_value)
            AS monetary,
        percentile_disc(ARRAY[0.40, 0.75, 0.95]) WITHIN GROUP (ORDER BY lifetime_value) AS tier
    FROM totals
    WHERE lifetime_orders > 0
),

-- A score is 1 plus the number of borders that the customer is above: 5-5-5 is the best.
scores AS (
    SELECT
        customer_id,
        1 + (SELECT count(*) FROM unnest(recency) AS border WHERE last_order_date > border)
            AS recency_score,
        1 + (SELECT count(*) FROM unnest(frequency) AS border WHERE lifetime_orders > border)
            AS frequency_score,
        1 + (SELECT count(*) FROM unnest(monetary) AS border WHERE lifetime_value > border)
            AS monetary_score,
        CASE (SELECT count(*) FROM unnest(tier) AS border WHERE lifetime_value > border)
            WHEN 3 THEN 'Platinum'
            WHEN 2 THEN 'Gold'
            WHEN 1 THEN 'Silver'
            ELSE 'Bronze'
        END AS value_tier
    FROM totals
    CROSS JOIN borders
    WHERE lifetime_orders > 0
),

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

favourites AS (
    SELECT
        customer_id,
        array_agg(product_name ORDER BY place) AS favourite_products
    FROM (
        SELECT
            customer_id,
            product_name,
            row_number() OVER (
                PARTITION BY customer_id
                ORDER BY times DESC, pieces DESC, product_name COLLATE "C"
            ) AS place
        FROM products
    ) AS placed
    WHERE place <= 5
    GROUP BY customer_id
),

-- The last change decides. Of two changes at the same time the withdrawal counts, and a change
-- without a value counts as a withdrawal. A withdrawal without a date wins over every change: it may
-- be the last one. An opt-in without a date proves nothing and is left out.
consent AS (
    SELECT
        customer_id,
        bool_or(opted_in) FILTER (WHERE channel = 'email') AS email_opted_in,
        bool_or(opted_in) FILTER (WHERE channel = 'sms') AS sms_opted_in
    FROM (
        SELECT DISTINCT ON (customer_id, channel)
            customer_id,
            channel,
            coalesce(opted_in, false) AS opted_in
        FROM consent_changes
        ORDER BY
            customer_id, channel, changed_at IS NULL DESC, changed_at DESC, coalesce(opted_in, false)
    ) AS last_change
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
    coalesce(t.l12m_monetary, 0)::DOUBLE PRECISION AS l12m_monetary,
    coalesce(t.l12m_frequency, 0) AS l12m_frequency,
    $as_of - t.last_order_date AS l12m_recency,
    coalesce(t.lifetime_value, 0)::DOUBLE PRECISION AS lifetime_value,
    coalesce(t.lifetime_orders, 0) AS lifetime_orders,
    -- rounded to six decimals, half up, as DuckDB rounds a DOUBLE
    floor(t.purchase_value::DOUBLE PRECISION / nullif(t.lifetime_orders, 0) * 1000000 + 0.5)
        / 1000000 AS average_order_value,
    t.first_order_date,
    t.last_order_date,
    coalesce(t.lifetime_orders, 0) = 1 AS one_and_done,
    coalesce(t.second_order_date - t.first_order_date <= 90, false) AS early_repeat_purchaser,
    s.value_tier,
    s.recency_score || '-' || s.frequency_score || '-' || s.monetary_score AS rfm_score,
    CASE
        WHEN t.bought > 0
        THEN least(t.returned::DOUBLE PRECISION / t.bought::DOUBLE PRECISION, 1)
    END AS return_rate,
    f.favourite_products,
    (t.last_order_date - t.first_order_date)::DOUBLE PRECISION / nullif(t.lifetime_orders - 1, 0)
        AS days_between_orders,
    c.loyalty_status,
    p.predicted_clv,
    -- who may be contacted; read by the audience, never sent
    coalesce(k.email_opted_in, false) AS email_opted_in,
    coalesce(k.sms_opted_in, false) AS sms_opted_in
FROM people AS c
LEFT JOIN totals AS t USING (customer_id)
LEFT JOIN scores AS s USING (customer_id)
LEFT JOIN favourites AS f USING (customer_id)
LEFT JOIN consent AS k USING (customer_id)
LEFT JOIN prediction AS p USING (customer_id)
