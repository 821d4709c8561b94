-- Some rows of a plan, one per user and attribute: of each kind of change a few, at most {limit}.
WITH named AS (
    SELECT user_id, attribute, old, new,
        CASE
            WHEN reason = 'left audience' THEN 'leaving'
            WHEN old IS NOT DISTINCT FROM new THEN 'sent again'
            WHEN old IS NULL THEN 'added'
            WHEN new IS NULL THEN 'cleared'
            ELSE 'changed'
        END AS change
    FROM ({rows})
),
-- By a hash, so that the same plan shows the same rows, and not one user's alone.
ordered AS (
    SELECT *, row_number() OVER (
        PARTITION BY change, attribute ORDER BY hash(user_id), user_id
    ) AS place
    FROM named
),
-- Each kind first, then each attribute.
ranked AS (
    SELECT *, row_number() OVER (PARTITION BY change ORDER BY place, hash(attribute)) AS rank
    FROM ordered
),
chosen AS (
    SELECT * FROM ranked ORDER BY rank, change LIMIT {limit}
)
SELECT user_id, attribute, change, old, new
FROM chosen
ORDER BY change, attribute, place
