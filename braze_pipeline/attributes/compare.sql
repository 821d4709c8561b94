-- Each customer of both results, and for each column whether the values differ.
SELECT
    count(*) FILTER (h.{customer} IS NOT NULL AND t.{customer} IS NOT NULL) AS both,
    count(*) FILTER (t.{customer} IS NULL) AS only_here,
    count(*) FILTER (h.{customer} IS NULL) AS only_there{columns}
FROM (SELECT *, {customer}::VARCHAR AS __customer FROM {here}) AS h
FULL JOIN (SELECT *, {customer}::VARCHAR AS __customer FROM {there}) AS t USING (__customer)
