SELECT
    count(*) FILTER (__stale AND NOT __send AND __present) AS superseded,
    count(*) FILTER (__suppressed IS NOT NULL AND __present) AS suppressed,
    count(*) FILTER (__send AND NOT __present AND __suppressed IS NULL) AS leaving
FROM {stage}
