-- What the snapshots of lost sends say: any of it may be in Braze.
INSERT INTO ledger.in_doubt (ledger, plan_id, user_id, columns)
SELECT $ledger, 'import', user_id, list(DISTINCT column_no)
FROM (
    SELECT __user_id AS user_id, unnest(json_keys(__object)) AS attribute
    FROM read_parquet($snapshots, union_by_name = true)
)
JOIN ledger.attributes AS a USING (attribute)
WHERE a.ledger = $ledger
GROUP BY user_id
