SELECT
    count(*) FILTER (__stale AND NOT __send AND __present) AS superseded,
    count(*) FILTER (__suppressed IS NOT NULL) AS suppressed,
    -- Those suppressed too: what they should get on leaving is outstanding.
    count(*) FILTER (__send AND NOT __present) AS leaving
FROM {stage}
