-- Users who left or were refused keep the day before: they are not up to date for the newest.
UPDATE {users}
SET {evaluated} = {before}
WHERE {evaluated} = {current} AND user_id IN (
    SELECT user_id FROM ledger.pending_watermarks WHERE plan_id = $plan AND as_of IS NULL
    UNION ALL
    SELECT user_id FROM ledger.refused WHERE plan_id = $plan
)
