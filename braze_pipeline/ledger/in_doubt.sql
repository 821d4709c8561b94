-- The attributes of all objects of a plan that have no answer, or may have been sent before they were
-- refused.
INSERT INTO ledger.in_doubt (ledger, plan_id, user_id, columns)
SELECT $ledger, $plan, s.__user_id, {sent}
FROM (
    SELECT * FROM {rows} o
    WHERE NOT EXISTS (
        SELECT 1 FROM {answered} a
        WHERE a.request_no = o.__request
            AND o.__index >= a.first_index AND o.__index < a.first_index + a.count
    )
    UNION ALL
    SELECT o.* FROM {rows} o
    JOIN {lost} x ON x.request_no = o.__request AND x.object_index = o.__index
) s
