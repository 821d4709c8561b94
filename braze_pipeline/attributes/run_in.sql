WITH {attributes}__judged AS ({judged}),
-- All customers are counted before the rules, and those excluded after them: the run compares both.
__counts AS (
    SELECT
        (SELECT count(*) FROM __attributes) AS __customers,
        count({customer}) AS __with_id,
        count(DISTINCT CAST({customer} AS {text})) AS __distinct,
        count(CASE WHEN {excluded_by} IS NULL THEN 1 END) AS __members{excluded}
    FROM __judged
)
-- A row of NULLs brings the counts where nobody is in the audience. Not an outer join with the
-- counts: for it, Spark sends all rows of the audience to every worker.
SELECT j.*, c.*
FROM (
    SELECT m.*, 1 AS {member} FROM __judged AS m WHERE {excluded_by} IS NULL
    UNION ALL
    SELECT m.*, NULL AS {member} FROM (SELECT 1 AS one) AS o LEFT JOIN __judged AS m ON 1 = 0
) AS j
CROSS JOIN __counts AS c
WHERE j.{member} = 1 OR c.__members = 0
