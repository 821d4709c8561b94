-- The rejections of the unchanged rows, as if this run had found them.
INSERT INTO {table} (
    as_of, destination, template, stage, customer_id, user_id, attribute, reason,
    message, masked_value, row_rejected, run_id, rejected_at
)
SELECT $day, destination, template, stage, customer_id, user_id, attribute, reason,
    message, masked_value, row_rejected, $run_id, $now
FROM {table} AS earlier
WHERE as_of = $since AND destination = $destination AND template = $template AND stage = $stage
    AND NOT EXISTS (FROM {different} AS d WHERE d.customer_id = earlier.customer_id)
