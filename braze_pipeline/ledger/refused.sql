-- Remember what Braze refused, so that the same object is not sent every day.
INSERT INTO ledger.refused
    (ledger, template, user_id, object_md5, status, plan_id, as_of, refused_at)
SELECT $ledger, $template, s.__user_id, md5(s.__object), x.status, $plan, s.__as_of, $now
FROM {refused} x
JOIN {rows} s ON s.__request = x.request_no AND s.__index = x.object_index
