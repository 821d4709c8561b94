WITH who AS (
    -- The template's users in the ledger, less those whose profile is gone ...
    SELECT known, {unconfirmed} AS unconfirmed
    FROM {users}
    WHERE {evaluated} = {current}
        AND user_id NOT IN (SELECT __user_id FROM {stage} WHERE NOT __present)
    UNION ALL
    -- ... and those who join: all of them are staged, because their watermark advances.
    SELECT l.known, l.{unconfirmed}
    FROM {stage} s
    LEFT JOIN {users} l ON l.user_id = s.__user_id
    WHERE s.__present AND s.__evaluated IS DISTINCT FROM {current}
)
SELECT
    count(*) FILTER (known IS TRUE),
    count(*) FILTER (known IS NOT TRUE),
    count(*) FILTER (known IS FALSE),
    count(*) FILTER (unconfirmed)
FROM who
