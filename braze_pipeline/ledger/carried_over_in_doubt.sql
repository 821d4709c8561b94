-- What was in doubt before the import stays so, under the restored ledger's numbers.
INSERT INTO ledger.in_doubt (ledger, plan_id, user_id, columns)
SELECT $ledger, plan_id, user_id, list(now)
FROM (SELECT plan_id, user_id, unnest(columns) AS was FROM {before}_in_doubt)
JOIN {pairs} USING (was)
GROUP BY ALL
UNION ALL
-- What Braze acknowledged since, and the restored ledger has otherwise, must be sent once more.
SELECT $ledger, 'import', user_id, columns
FROM (
    SELECT b.user_id, list_filter([{differs}]::INTEGER[], lambda no: no IS NOT NULL) AS columns
    FROM {before} b
    LEFT JOIN {users} l USING (user_id)
)
WHERE len(columns) > 0
