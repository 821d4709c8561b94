-- Users who are up to date though nothing was sent; the ledger may not have all of them yet.
MERGE INTO {users} l
USING (
    SELECT user_id, as_of FROM ledger.pending_watermarks
    WHERE plan_id = $plan AND as_of IS NOT NULL
) m ON l.user_id = m.user_id
WHEN MATCHED THEN UPDATE SET {evaluated} = {of_known}
WHEN NOT MATCHED THEN INSERT (user_id, {evaluated}) VALUES (m.user_id, {of_unknown})
