-- Customers with as many orders of the same mean value; within steps of {width} on a logarithmic
-- scale, of which the middle counts.
SELECT orders::DOUBLE AS orders, exp(step * {width}) AS value, count(*)::DOUBLE AS customers
FROM (
    SELECT repeats + 1 AS orders, round(ln(value / (repeats + 1)) / {width}) AS step
    FROM predicted_value_statistics
)
GROUP BY orders, step
ORDER BY orders, step
