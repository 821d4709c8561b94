-- The predictions of a fit, each with its band. A customer keeps the band of the fit before as long as
-- the value is not past that band's borders by more than the share $hold of them: near a border, values
-- that go up and down a little would otherwise change the band each time. Rounded, so that a tenth above
-- 50 is 55 and not a little more.
INSERT INTO {table} BY NAME
WITH placed AS (
    SELECT
        r.*,
        list_position($names::VARCHAR[], b.predicted_band) AS earlier,
        1 + len(list_filter($borders::DOUBLE[], lambda border: border <= r.predicted_clv)) AS plain
    FROM {rows} AS r
    LEFT JOIN (
        SELECT customer_id, predicted_band
        FROM {table}
        WHERE destination = $destination AND horizon_days = $horizon AND predicted_on = $before
    ) AS b USING (customer_id)
)
SELECT
    $destination AS destination,
    $horizon AS horizon_days,
    $as_of AS predicted_on,
    customer_id,
    predicted_clv,
    expected_orders,
    expected_order_value,
    probability_active,
    -- Below the lowest border and above the highest there is none to be past: NULL, so it holds.
    ($names::VARCHAR[])[
        CASE
            WHEN earlier IS NOT NULL
                AND coalesce(predicted_clv >= round(($borders::DOUBLE[])[earlier - 1] * (1 - $hold), 6), true)
                AND coalesce(predicted_clv < round(($borders::DOUBLE[])[earlier] * (1 + $hold), 6), true)
                THEN earlier
            ELSE plain
        END
    ] AS predicted_band,
    fit_id
FROM placed
