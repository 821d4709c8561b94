-- For each refused value, the code of the first rule that it breaks, and its shape for people.
CREATE OR REPLACE TEMP TABLE {failures} AS
SELECT __rid, ({name})::VARCHAR AS attribute, {required} AS rejects_row, found.code,
    {masked} AS masked
FROM (
    SELECT __rid, number, arg_min({{'code': code, 'raw': raw}}, (rank, code)) AS found
    FROM {found} {only_own_groups}
    GROUP BY __rid, number
)
