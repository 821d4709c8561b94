-- Renumbers the rows of a snapshot so that no request is larger than {limit} bytes.
-- A run is a request as numbered so far. Each object counts with its comma.
WITH sized AS (
    SELECT __request AS run, __index AS place, strlen(__object) + 1 AS bytes,
        sum(bytes) OVER (PARTITION BY __request) > {limit} AS cut, bytes > {limit} / 2 AS alone
    FROM {source}
),
-- Where in its run an object starts, not counting those that go alone.
placed AS (
    SELECT *, coalesce(sum(CASE WHEN alone THEN 0 ELSE bytes END) OVER (PARTITION BY run
        ORDER BY place ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS before
    FROM sized
),
-- In a run that is too large, an object above half the limit goes alone. The others go by the
-- half-limit block that they start in: together they are shorter than the block and one more
-- object, which is at most another half, so they fit.
parts AS (
    SELECT run, place, CASE WHEN NOT cut THEN 0 WHEN alone THEN -1 - place
        ELSE floor(before / ({limit} / 2))::BIGINT END AS part
    FROM placed
),
numbered AS (
    SELECT run, place, (dense_rank() OVER (ORDER BY run, part) - 1)::INTEGER AS request,
        (row_number() OVER (PARTITION BY run, part ORDER BY place) - 1)::INTEGER AS nth
    FROM parts
)
SELECT request AS __request, nth AS __index, {names}
FROM {source} s
JOIN numbered ON numbered.run = s.__request AND numbered.place = s.__index
-- The send reads the file from start to end.
ORDER BY request, nth
