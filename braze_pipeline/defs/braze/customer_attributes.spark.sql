-- The customer attributes table in Spark's dialect: the same rows as customer_attributes.sql, for a
-- template with `run_in` (docs/run-in.md). It may stay here when it is not used.
--
-- It runs in the cluster, over its tables customers, orders, consents and predictions: put your own
-- names of tables and columns in the first four CTEs; parquet.`/path` can stand for a table. $as_of
-- is a DATE. Rows dated after it must not be used. Three habits keep the values equal to DuckDB's:
-- decimals become DOUBLE before they are divided (Spark keeps six digits of the quotient), borders
-- are counted exactly (percentile_approx is not exact), and ties are always broken. Spaces are those
-- of Unicode, as in DuckDB: an id of spaces alone is none, and spaces around other ids are a part of
-- them. Why the attributes are what they are is said in customer_attributes.sql.

WITH

people AS (
    SELECT
        CASE WHEN CAST(customer_id AS STRING) RLIKE '[^\\p{Zs}]' THEN CAST(customer_id AS STRING) END
            AS customer_id,
        CAST(NULL AS STRING) AS braze_id,
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
        CAST(NULL AS STRING) AS time_zone
    FROM customers
),

lines AS (
    SELECT
        CAST(customer_id AS STRING) AS customer_id,
        CASE WHEN CAST(order_id AS STRING) RLIKE '[^\\p{Zs}]' THEN CAST(order_id AS STRING) END
            AS order_id,
        ordered_at,
        regexp_replace(product_name, '^\\p{Zs}+|\\p{Zs}+\\z', '') AS product_name,
        quantity,
        CAST(CAST(quantity AS DECIMAL(18, 4)) * CAST(unit_price AS DECIMAL(18, 4)) AS DECIMAL(18, 2))
            AS amount,
        left(CAST(product_id AS STRING), 1) BETWEEN '0' AND '9' AS is_product
    FROM orders
    WHERE CAST(customer_id AS STRING) RLIKE '[^\\p{Zs}]'
      AND ordered_at < $as_of + INTERVAL '1' DAY
),

-- The last change decides. Of two changes at the same time the withdrawal counts, and a change
-- without a value counts as a withdrawal. A withdrawal without a date wins over every change: it may
-- be the last one. An opt-in without a date proves nothing and is left out.
consent AS (
    SELECT
        customer_id,
        max_by(opted_in, struct(changed_at IS NULL, changed_at, NOT opted_in)) FILTER (WHERE channel = 'email')
            AS email_opted_in,
        max_by(opted_in, struct(changed_at IS NULL, changed_at, NOT opted_in)) FILTER (WHERE channel = 'sms')
            AS sms_opted_in
    FROM (
        SELECT
            CAST(customer_id AS STRING) AS customer_id,
            lower(regexp_replace(channel, '^\\p{Zs}+|\\p{Zs}+\\z', '')) AS channel,
            coalesce(opted_in, false) AS opted_in,
            changed_at
        FROM consents
        WHERE changed_at < $as_of + INTERVAL '1' DAY
           OR (changed_at IS NULL AND opted_in IS NOT true)
    )
    GROUP BY customer_id
),

-- The newest prediction up to the day; of two from the same day, the higher.
prediction AS (
    SELECT
        CAST(customer_id AS STRING) AS customer_id,
        max_by(CAST(predicted_clv AS DOUBLE), struct(predicted_on, predicted_clv)) AS predicted_clv
    FROM predictions
    WHERE predicted_on <= $as_of AND predicted_clv IS NOT NULL
    GROUP BY 1
),

-- One row per invoice, dated by its first line.
invoices AS (
    SELECT
        customer_id,
        CAST(min(ordered_at) AS DATE) AS day,
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
        sum(net) FILTER (WHERE day > add_months($as_of, -12)) AS l12m_monetary,
        count(*) FILTER (WHERE is_purchase AND day > add_months($as_of, -12)) AS l12m_frequency,
        min(day) FILTER (WHERE is_purchase) AS first_order_date,
        get(array_sort(collect_list(day) FILTER (WHERE is_purchase)), 1) AS second_order_date,
        max(day) FILTER (WHERE is_purchase) AS last_order_date,
        sum(bought) AS bought,
        coalesce(sum(returned), 0) AS returned
    FROM invoices
    GROUP BY customer_id
),

-- How many of the customers who ever bought have each value: few rows, whatever their number, so
-- that what follows fits one task.
measured AS (
    SELECT measure, value, count(*) AS customers
    FROM (
        SELECT
            explode(map(
                'recency', CAST(unix_date(last_order_date) AS DECIMAL(38, 2)),
                'frequency', CAST(lifetime_orders AS DECIMAL(38, 2)),
                'monetary', CAST(lifetime_value AS DECIMAL(38, 2)),
                'tier', CAST(lifetime_value AS DECIMAL(38, 2))
            )) AS (measure, value)
        FROM totals
        WHERE lifetime_orders > 0
    )
    GROUP BY measure, value
),

-- Where the fifths and the tiers begin: the least value that at least so many percent do not
-- exceed.
borders AS (
    SELECT
        array_sort(collect_list(border) FILTER (WHERE measure = 'recency')) AS recency,
        array_sort(collect_list(border) FILTER (WHERE measure = 'frequency')) AS frequency,
        array_sort(collect_list(border) FILTER (WHERE measure = 'monetary')) AS monetary,
        array_sort(collect_list(border) FILTER (WHERE measure = 'tier')) AS tier
    FROM (
        SELECT measure, percent, min(value) AS border
        FROM (
            SELECT
                measure,
                value,
                sum(customers) OVER (PARTITION BY measure ORDER BY value) AS up_to,
                sum(customers) OVER (PARTITION BY measure) AS buyers,
                explode(if(measure = 'tier', array(40, 75, 95), array(20, 40, 60, 80))) AS percent
            FROM measured
        )
        WHERE up_to * 100 >= buyers * percent
        GROUP BY measure, percent
    )
),

-- A score is 1 plus the number of borders that the customer is above: 5-5-5 is the best.
scores AS (
    SELECT
        customer_id,
        1 + size(filter(recency, border -> unix_date(last_order_date) > border)) AS recency_score,
        1 + size(filter(frequency, border -> lifetime_orders > border)) AS frequency_score,
        1 + size(filter(monetary, border -> lifetime_value > border)) AS monetary_score,
        CASE size(filter(tier, border -> lifetime_value > border))
            WHEN 3 THEN 'Platinum'
            WHEN 2 THEN 'Gold'
            WHEN 1 THEN 'Silver'
            ELSE 'Bronze'
        END AS value_tier,
        t.*
    FROM totals AS t
    CROSS JOIN borders
),

favourites AS (
    SELECT
        customer_id,
        transform(array_sort(collect_list(struct(place, product_name))), one -> one.product_name)
            AS favourite_products
    FROM (
        SELECT
            customer_id,
            product_name,
            row_number() OVER (
                PARTITION BY customer_id
                ORDER BY count(*) DESC, sum(quantity) DESC, product_name
            ) AS place
        FROM lines
        WHERE is_product AND amount > 0 AND product_name <> ''
        GROUP BY customer_id, product_name
    )
    WHERE place <= 5
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
    CAST(coalesce(t.l12m_monetary, 0) AS DOUBLE) AS l12m_monetary,
    coalesce(t.l12m_frequency, 0) AS l12m_frequency,
    datediff($as_of, t.last_order_date) AS l12m_recency,
    CAST(coalesce(t.lifetime_value, 0) AS DOUBLE) AS lifetime_value,
    coalesce(t.lifetime_orders, 0) AS lifetime_orders,
    -- rounded to six decimals, half up, as DuckDB rounds a DOUBLE
    floor(CAST(t.purchase_value AS DOUBLE) / nullif(t.lifetime_orders, 0) * 1000000D + 0.5D)
        / 1000000D AS average_order_value,
    t.first_order_date,
    t.last_order_date,
    coalesce(t.lifetime_orders, 0) = 1 AS one_and_done,
    coalesce(datediff(t.second_order_date, t.first_order_date) <= 90, false)
        AS early_repeat_purchaser,
    CASE WHEN t.lifetime_orders > 0 THEN t.value_tier END AS value_tier,
    CASE
        WHEN t.lifetime_orders > 0
        THEN concat(t.recency_score, '-', t.frequency_score, '-', t.monetary_score)
    END AS rfm_score,
    CASE
        WHEN t.bought > 0
        THEN least(CAST(t.returned AS DOUBLE) / CAST(t.bought AS DOUBLE), 1D)
    END AS return_rate,
    f.favourite_products,
    datediff(t.last_order_date, t.first_order_date) / nullif(t.lifetime_orders - 1, 0)
        AS days_between_orders,
    c.loyalty_status,
    p.predicted_clv,
    -- who may be contacted; read by the audience, never sent
    coalesce(k.email_opted_in, false) AS email_opted_in,
    coalesce(k.sms_opted_in, false) AS sms_opted_in
FROM people AS c
LEFT JOIN scores AS t USING (customer_id)
LEFT JOIN favourites AS f USING (customer_id)
LEFT JOIN consent AS k USING (customer_id)
LEFT JOIN prediction AS p USING (customer_id)
