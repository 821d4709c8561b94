-- Users whose object differs and cannot be sent: refused by Braze just so before, or too large.
CREATE OR REPLACE TEMP TABLE {suppressed} AS
SELECT s.__user_id AS user_id, 'refused_before' AS why
FROM {stage} s
JOIN ({refused}) r ON r.user_id = s.__user_id AND r.object_md5 = md5(s.__object)
WHERE s.__send
UNION
SELECT __user_id, 'too_large'
FROM {stage}
WHERE __send AND strlen(__object) + 1 > {usable_bytes}
