-- All users for whom anything has to be done: the one join of profiles and ledger, then what to do.
-- The rows stream from here into the snapshot.
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
        {doubtful} IS TRUE AS __in_doubt,
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
        __present AND NOT __left AS __member
    FROM (
        SELECT j.*, {left} AS __left
        FROM joined j
        {still_in_audience}
    )
),
compared AS (
    SELECT *, {differences}
    FROM targeted
),
-- Per attribute: whether it is sent, or would be but for a newer day.
decided AS (
    SELECT * EXCLUDE ({inner}),
        {decisions}
        {any_changed} AS __send,
        {any_superseded} AS __stale
    FROM compared
),
-- Per user: why, and the object. Users for whom nothing is sent stay if their watermark advances,
-- or to be counted as superseded.
objects AS (
    SELECT * EXCLUDE ({decided}),
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
)
-- Objects that differ and cannot be sent: too large, or refused by Braze just so before. Few users
-- were refused, so few objects are digested; an object has its user's identifier, so its digest is
-- that user's alone.
SELECT * EXCLUDE (__digest),
    CASE
        WHEN strlen(__object) + 1 > {usable_bytes} THEN 'too_large'
        WHEN __digest IN (SELECT object_md5 FROM ({refused})) THEN 'refused_before'
    END AS __suppressed
FROM (
    SELECT *,
        CASE WHEN __user_id IN (SELECT user_id FROM ({refused})) THEN md5(__object) END AS __digest
    FROM objects
)
