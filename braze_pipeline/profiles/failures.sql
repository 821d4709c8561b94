-- For each refused value, the code of the first rule that it breaks, and its shape for people.
CREATE OR REPLACE TEMP TABLE {failures} AS
SELECT __rid, ({name})::VARCHAR AS attribute, {required} AS rejects_row, code, {masked} AS masked
FROM (
    -- What could not be read has the first rank, once; it needs no grouping.
    SELECT __rid, number, code, raw FROM {found} WHERE rank = 0
    UNION ALL
    SELECT __rid, number, first.code, first.raw
    FROM (
        SELECT __rid, number, arg_min({{'code': code, 'raw': raw}}, (rank, code)) AS first
        FROM {found} AS later
        WHERE rank > 0 AND NOT EXISTS (
            FROM {found} AS read
            WHERE read.rank = 0 AND read.__rid = later.__rid AND read.number = later.number
        )
        GROUP BY __rid, number
    )
) AS failed {only_own_groups}
