-- The dbt model is one row per customer already. It has no history, so it stands for the newest day.
SELECT * FROM customer_360
