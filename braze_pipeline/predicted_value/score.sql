CREATE TABLE {table} AS
SELECT
    customer_id::VARCHAR AS customer_id,
    DATE '{day}' AS predicted_on,
    {published}::DOUBLE AS predicted_clv,
    round(expected_orders, 6) AS expected_orders,
    round(expected_order_value, 2) AS expected_order_value,
    round(probability_active, 6) AS probability_active,
    '{fit_id}' AS fit_id
FROM ({predictions})
ORDER BY customer_id
