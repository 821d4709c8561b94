-- The day's failures, with the words for their codes; values are masked already.
INSERT INTO {table} (
    as_of, destination, template, stage, customer_id, user_id, attribute, reason,
    message, masked_value, row_rejected, run_id, rejected_at
)
SELECT $day, $destination, $template, $stage, b.__customer_id, b.__user_id, f.attribute, f.code,
    CASE f.code {words} END, f.masked, f.rejects_row, $run_id, $now
FROM {failures} AS f JOIN {mapped} AS b USING (__rid)
