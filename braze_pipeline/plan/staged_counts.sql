SELECT
    count(*) FILTER (__stale AND NOT __send AND __present) AS superseded,
    count(*) FILTER (suppressed AND __present) AS suppressed,
    count(*) FILTER (__send AND NOT __present AND NOT suppressed) AS leaving
FROM (SELECT *, __user_id IN (SELECT user_id FROM {suppressed}) AS suppressed FROM {stage})
