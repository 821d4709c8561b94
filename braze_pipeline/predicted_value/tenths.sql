-- Customers from the highest prediction of {name} to the lowest, as a table of bounded size:
-- predictions on the same step are one row.
SELECT
    count(*)::DOUBLE AS customers,
    sum({name})::DOUBLE AS predicted,
    sum(later_value)::DOUBLE AS actual
FROM predicted_value_backtest
GROUP BY {step}
ORDER BY {step} DESC
