-- Of several rows with one user identifier, all but the first fail.
INSERT INTO {found}
-- The highest rank: another fault of the row is reported first.
SELECT __rid, {whole_row}, 2147483647, {duplicate}, __user_id
FROM (
    SELECT __rid, __user_id,
        -- By the values too, so that every run chooses the same row.
        row_number() OVER (PARTITION BY __user_id ORDER BY {order}, __rid) AS place
    FROM {mapped}
    WHERE __user_id IN (
        SELECT __user_id FROM {mapped}
        WHERE __user_id IS NOT NULL GROUP BY __user_id HAVING count(*) > 1
    )
)
WHERE place > 1
