-- What is known of each customer at the end of $day, and what they bought from then to $until.
CREATE OR REPLACE TEMP TABLE predicted_value_statistics AS
SELECT
    customer_id,
    (count(*) FILTER (day <= $day) - 1)::INTEGER AS repeats,
    ((max(day) FILTER (day <= $day)) - min(day))::INTEGER AS recency,
    ($day - min(day))::INTEGER AS tenure,
    sum(value) FILTER (day <= $day) AS value,
    coalesce(sum(value) FILTER (day <= $day AND day > $day - INTERVAL 12 MONTH), 0) AS year_value,
    coalesce(sum(value) FILTER (day > $day AND day <= $until), 0) AS later_value
FROM predicted_value_purchases
GROUP BY customer_id
HAVING min(day) <= $day
