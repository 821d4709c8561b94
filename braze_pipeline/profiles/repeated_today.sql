-- The customers that share a user identifier with another one on this day.
WITH members AS (
    SELECT __audience_id AS customer_id, nullif({identifier}::VARCHAR, '') AS user_id
    FROM (SELECT * FROM {attributes} WHERE __as_of = $day) AS __attributes
    JOIN (
        SELECT customer_id AS __audience_id FROM {audience}
        WHERE __as_of = $day AND left_out_by IS NULL
    ) AS __audience
    ON __attributes.{customer} = __audience.__audience_id
)
SELECT customer_id, true AS here
FROM members
WHERE user_id IN (SELECT user_id FROM members GROUP BY user_id HAVING count(*) > 1)
