-- Customers with the same history; within {width} days, of which the mean counts.
SELECT
    repeats::DOUBLE AS repeats,
    sum(recency) / count(*) AS recency,
    sum(tenure) / count(*) AS tenure,
    count(*)::DOUBLE AS customers
FROM predicted_value_statistics
GROUP BY predicted_value_statistics.repeats, predicted_value_statistics.recency // {width}, predicted_value_statistics.tenure // {width}
ORDER BY ALL
