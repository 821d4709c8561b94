-- Where every order line went, in one pass, and how new the orders are.
SELECT
    count(*) FILTER (o.ordered_at < $day + INTERVAL 1 DAY) AS lines,
    count(*) FILTER (o.ordered_at < $day + INTERVAL 1 DAY AND o.customer_id IS NULL)
        AS lines_without_customer,
    count(*) FILTER (
        o.ordered_at < $day + INTERVAL 1 DAY
        AND o.customer_id IS NOT NULL AND c.customer_id IS NULL
    ) AS lines_of_unknown_customers,
    count(*) FILTER (
        -- One without a date may be of any day.
        coalesce(o.ordered_at < $day + INTERVAL 1 DAY, TRUE)
        AND (o.order_id IS NULL OR o.ordered_at IS NULL OR o.quantity IS NULL OR o.unit_price IS NULL)
    ) AS lines_incomplete,
    count(*) FILTER (o.ordered_at >= $day + INTERVAL 1 DAY) AS lines_after,
    -- A date in the future is a typing error, and does not make the table fresh.
    (max(o.ordered_at) FILTER (o.ordered_at < $tomorrow))::DATE AS newest_order
FROM orders AS o
LEFT JOIN customers AS c ON c.customer_id = o.customer_id
