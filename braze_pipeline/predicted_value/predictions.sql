-- What each candidate predicts for the next {days} days, in whole pence, for every customer.
-- The expected value of an order is that of the Gamma-Gamma model: the customer's own mean and that
-- of all customers, weighted by the customer's number of orders. NULL where the model did not fit.
SELECT
    s.customer_id,
    f.orders AS expected_orders,
    {p} * (s.value + {v}) / ({p} * (s.repeats + 1) + {q} - 1) AS expected_order_value,
    f.active AS probability_active,
    round(f.orders * expected_order_value, 2)::DECIMAL(18, 2) AS model,
    round({past_value} * {raw_past_value}, 2)::DECIMAL(18, 2) AS past_value,
    round({last_year} * {raw_last_year}, 2)::DECIMAL(18, 2) AS last_year,
    round({past_value_by_tenure} * {raw_past_value_by_tenure}, 2)::DECIMAL(18, 2)
        AS past_value_by_tenure,
    s.later_value
FROM predicted_value_statistics AS s
LEFT JOIN predicted_value_factors AS f USING (repeats, recency, tenure)
