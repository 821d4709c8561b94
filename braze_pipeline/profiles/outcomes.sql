-- The outcomes of the earlier day that stand: rows, and how many of them are rejected as a whole.
SELECT sum(rows)::BIGINT, coalesce(sum(rows) FILTER (rejected), 0)::BIGINT
FROM (
    SELECT false AS rejected, count(*) AS rows FROM {profiles} AS p
    WHERE __as_of = $since AND __customer_id IS NOT NULL
        AND NOT EXISTS (FROM {different} AS d WHERE d.customer_id = p.__customer_id)
    UNION ALL
    SELECT true, count(DISTINCT customer_id) FROM {rejections} AS r
    WHERE as_of = $since AND destination = $destination AND template = $template
        AND stage = $stage AND row_rejected
        AND NOT EXISTS (FROM {different} AS d WHERE d.customer_id = r.customer_id)
)
