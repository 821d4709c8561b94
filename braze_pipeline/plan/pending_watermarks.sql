-- Users whose watermark changes when the plan is carried out, though nothing is sent to them:
-- those up to date advance to their day. Of the newest day so far, those who are suppressed or have
-- no profile any more are not up to date, and get no day.
SELECT __user_id AS user_id, CASE WHEN __present AND __suppressed IS NULL THEN __as_of END AS as_of
FROM {stage}
WHERE (__advances AND __present AND NOT __send)
    OR (__evaluated = {current} AND (__suppressed IS NOT NULL OR (NOT __present AND NOT __send)))
