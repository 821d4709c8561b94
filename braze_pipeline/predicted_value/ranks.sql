-- The sums for Spearman's rank correlation of {name} with the actual value. Values on the
-- same step share the mean of their ranks: so the ranks are small tables, and nothing is sorted that
-- grows with the customers. Ranks are doubled and summed as whole numbers, so that the result does not
-- depend on the order of the rows.
WITH steps AS (
    SELECT {step} AS predicted, {actual_step} AS actual
    FROM predicted_value_backtest
),

predicted_ranks AS (
    SELECT predicted, 2 * sum(count(*)) OVER (ORDER BY predicted) - count(*) AS x
    FROM steps
    GROUP BY predicted
),

actual_ranks AS (
    SELECT actual, 2 * sum(count(*)) OVER (ORDER BY actual) - count(*) AS y
    FROM steps
    GROUP BY actual
)

SELECT count(*), sum(x), sum(y), sum(x * x), sum(y * y), sum(x * y)
FROM steps
JOIN predicted_ranks USING (predicted)
JOIN actual_ranks USING (actual)
