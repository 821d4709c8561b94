-- Purchases up to the end of the day $as_of: one row per customer and day. An invoice is a purchase
-- when the customer owes money for it, whatever its order_id (a customer's lines without one are one
-- invoice), and it is dated by its first line. Cancellations and returns with an invoice of their own owe nothing: they are left out,
-- so purchases are as they were made. Invoices of one day are one purchase: the model is
-- of occasions to buy, and a delivery split into two invoices is one.
-- Money is multiplied and added as decimals, so that no sum depends on the order of the lines. A
-- product of DECIMAL(18, 4) ends below 10 billion; one with DECIMAL(19, 4) has room for any currency,
-- and takes far longer.
CREATE OR REPLACE TEMP TABLE predicted_value_purchases AS
WITH invoices AS (
    SELECT
        customer_id,
        min(ordered_at)::DATE AS day,
        sum(
            CASE
                WHEN abs(quantity * unit_price) < 1000000000
                    THEN (quantity::DECIMAL(18, 4) * unit_price::DECIMAL(18, 4))::DECIMAL(18, 2)
                ELSE (quantity::DECIMAL(18, 4) * unit_price::DECIMAL(19, 4))::DECIMAL(18, 2)
            END
        ) AS value
    FROM orders
    WHERE customer_id IS NOT NULL AND ordered_at < $as_of + INTERVAL 1 DAY
    GROUP BY customer_id, order_id
    HAVING value > 0
)
SELECT customer_id, day, sum(value)::DECIMAL(18, 2) AS value
FROM invoices
GROUP BY customer_id, day
