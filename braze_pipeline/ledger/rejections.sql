-- One rejection for each object that Braze refused, with its own words.
INSERT INTO records.rejection_rows
    (as_of, destination, template, stage, customer_id, user_id, reason, message, row_rejected,
    run_id, rejected_at, status, attempt, request_id)
SELECT s.__as_of, $destination, $template, 'send', s.__customer_id, s.__user_id,
    'refused_by_braze', coalesce(x.error, 'Braze gave no reason'), true,
    $run, $now, x.status, x.attempt, $plan || '/' || x.request_no
FROM {refused} x
JOIN {rows} s ON s.__request = x.request_no AND s.__index = x.object_index
