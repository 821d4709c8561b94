WITH __attributes AS ({query}
),
-- The first line is the brand's, so that the database's line numbers are those of its file.
__judged AS ({judged}),
-- All customers are counted before the rules, and those excluded after them: the run compares both.
__counts AS (
    SELECT
        (SELECT count(*) FROM __attributes) AS __customers,
        count({customer}) AS __with_id,
        count(DISTINCT CAST({customer} AS {text})) AS __distinct{excluded}
    FROM __judged
)
SELECT j.*, c.*
FROM __counts AS c
LEFT JOIN (
    SELECT m.*, 1 AS {member} FROM __judged AS m WHERE {excluded_by} IS NULL
) AS j ON 1 = 1
