-- The customers whose outcome of the earlier day does not stand: those whose row is not the same on both
-- days, or is in the audience on only one of them. `here` are those that are in this day's audience.
CREATE OR REPLACE TEMP TABLE {different} AS
WITH today AS (
    SELECT __audience_id, __groups, {columns}
    FROM (SELECT * FROM {attributes} WHERE __as_of = $day) AS __attributes
    JOIN (
        SELECT customer_id AS __audience_id, groups AS __groups
        FROM {audience}
        WHERE __as_of = $day AND left_out_by IS NULL
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
)
SELECT DISTINCT
    coalesce(today.__audience_id, before.__audience_id)::VARCHAR AS customer_id,
    today.__audience_id IS NOT NULL AS here
FROM today
FULL JOIN before ON today.__audience_id = before.__audience_id
WHERE today.__audience_id IS NULL OR before.__audience_id IS NULL OR NOT ({same})
UNION
-- What the row alone does not decide.
SELECT customer_id, true
FROM {audience}
WHERE __as_of = $day AND left_out_by IS NULL AND customer_id IN (
    SELECT customer_id FROM {rejections}
    WHERE as_of = $since AND destination = $destination AND template = $template AND stage = $stage
        AND ({again})
)
{repeated}
