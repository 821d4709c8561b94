-- The attributes of all objects of a plan that were begun and have no answer, or may have been sent
-- before they were refused. Of a send that was killed nobody knows how far it got.
INSERT INTO ledger.in_doubt (ledger, plan_id, user_id, columns)
SELECT $ledger, $plan, s.__user_id, {sent}
FROM (
    SELECT * FROM {rows} o
    WHERE o.__request <= (
        SELECT CASE WHEN count(*) = count(b.request_no) THEN max(b.request_no) ELSE 2147483647 END
        FROM ledger.applied_sends AS a LEFT JOIN {begun} AS b USING (started_at)
        WHERE a.plan_id = $plan
    )
    AND NOT EXISTS (
        SELECT 1 FROM {answered} a
        WHERE a.request_no = o.__request
            AND o.__index >= a.first_index AND o.__index < a.first_index + a.count
    )
    UNION ALL
    SELECT o.* FROM {rows} o
    JOIN {lost} x ON x.request_no = o.__request AND x.object_index = o.__index
) s
