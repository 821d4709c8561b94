-- The attributes of all objects of a plan that have no answer.
INSERT INTO ledger.in_doubt (ledger, plan_id, user_id, columns)
SELECT $ledger, $plan, s.__user_id, {sent}
FROM {rows} s
WHERE NOT EXISTS (
    SELECT 1 FROM {answered} a
    WHERE a.request_no = s.__request
        AND s.__index >= a.first_index AND s.__index < a.first_index + a.count
)
