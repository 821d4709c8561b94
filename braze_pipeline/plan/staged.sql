-- All users for whom anything has to be done: the one join of profiles and ledger, then what to do.
WITH p AS ({profiles}),
-- Of all users, the few that may need anything. These rows are packed before the many decisions
-- (MATERIALIZED): otherwise the decisions run over batches that are nearly empty. On a first run
-- all rows come out, and packing them would only cost.
joined AS {materialized} (
    SELECT
        coalesce(p.__user_id, l.user_id) AS __user_id,
        p.__customer_id,
        coalesce(p.__as_of, {newest}) AS __as_of,
        p.__held,
        p.__user_id IS NOT NULL AS __present,
        {known} AS __known,
        l.{full_at} IS NULL AS __new,
        p.__user_id IS NOT NULL AND {full} AS __full,
        l.{evaluated} AS __evaluated,
        {advances} AS __advances,
        {found}
    -- FULL, because users of the ledger without a profile may have left.
    FROM p
    FULL JOIN {users} l ON p.__user_id = l.user_id
    {in_doubt}
    -- Cheap, and never too narrow: what is decided below is exact.
    WHERE {wanted}
),
-- Who has left the audience, and with it the value that each attribute should have.
targeted AS (
    SELECT * EXCLUDE (__as_of),
        {targets}
        CASE WHEN __left THEN {newest} ELSE __as_of END AS __as_of,
        __present AND NOT __left AND __as_of = {newest} AS __member
    FROM (
        SELECT j.*, {left} AS __left
        FROM joined j
        LEFT JOIN {still_in_audience} s
            ON s.user_id = j.__user_id AND (NOT j.__present OR j.__as_of < {newest})
    )
),
-- Per attribute: whether it is sent, or would be but for a newer day.
decided AS (
    SELECT * EXCLUDE (__held, {inner}),
        {decisions}
        {any_changed} AS __send,
        {any_superseded} AS __stale
    FROM targeted
)
-- Per user: why, and the object. Users for whom nothing is sent stay if their watermark advances,
-- or to be counted as superseded.
SELECT * EXCLUDE ({superseded}),
    CASE
        WHEN NOT __send THEN NULL
        WHEN __left THEN 'left audience'
        WHEN __new THEN 'new user'
        WHEN __full OR NOT {any_difference} THEN 'resend'
        WHEN {any_value} THEN 'changed'
        ELSE 'cleared'
    END AS __reason,
    CASE WHEN __send THEN {object} END AS __object
FROM decided
WHERE __send OR __stale OR __advances
