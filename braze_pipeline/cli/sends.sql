-- Recent sends, newest first. The names of the columns are the keys of `sends --json`.
SELECT ended_at, newest_day, status, planned_users, accepted_users, rejected_users,
    not_attempted_users, requests, bytes, seconds, throttled_seconds, latency_p50, latency_p95,
    latency_p99, retries, refused, run_id, plan_id
FROM records.send_outcomes
WHERE destination = ? AND template = ?
ORDER BY ended_at DESC, rowid DESC
LIMIT ?
