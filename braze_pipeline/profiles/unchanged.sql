-- The members of the day's audience whose row need not be read again. Each of them has one outcome of
-- the earlier day: a profile, or the rejection of the whole row.
CREATE OR REPLACE TEMP TABLE {unchanged} AS
WITH today AS (
    SELECT __audience_id, __groups, {columns}
    FROM (SELECT * FROM {attributes} WHERE __as_of = $day) AS __attributes
    JOIN (
        SELECT customer_id AS __audience_id, any_value(groups) AS __groups
        FROM {audience}
        WHERE __as_of = $day AND left_out_by IS NULL
        GROUP BY customer_id
    ) AS __audience
    ON __attributes.{customer} = __audience.__audience_id
),
before AS (
    SELECT __audience_id, __groups, {columns}
    FROM (SELECT * FROM {attributes} WHERE __as_of = $since) AS __attributes
    JOIN (
        SELECT customer_id AS __audience_id, groups AS __groups
        FROM {audience}
        WHERE __as_of = $since AND left_out_by IS NULL
    ) AS __audience
    ON __attributes.{customer} = __audience.__audience_id
),
rejected AS (
    SELECT customer_id, row_rejected, attribute, reason
    FROM {rejections}
    WHERE as_of = $since AND destination = $destination AND template = $template
        AND stage = $stage AND customer_id IS NOT NULL
),
outcome AS (
    SELECT __customer_id AS customer_id, false AS rejected FROM {profiles} WHERE __as_of = $since
    UNION ALL
    SELECT DISTINCT customer_id, true FROM rejected WHERE row_rejected
),
-- What the row alone does not decide.
repeated AS (
    SELECT nullif({identifier}::VARCHAR, '') AS user_id FROM today
    GROUP BY ALL HAVING count(*) > 1
),
again AS (
    SELECT customer_id FROM rejected WHERE {again}
)
SELECT outcome.customer_id, outcome.rejected
FROM today
JOIN before USING (__audience_id)
JOIN outcome ON outcome.customer_id = today.__audience_id
WHERE {same}
    AND NOT EXISTS (FROM again WHERE again.customer_id = today.__audience_id)
    AND NOT EXISTS (FROM repeated WHERE repeated.user_id = today.{identifier}::VARCHAR)
