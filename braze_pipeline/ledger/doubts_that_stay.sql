-- What is in doubt for everybody stays so for each user whom the plan could not send it: their last
-- object was refused, or is larger than a request may be.
INSERT INTO ledger.in_doubt (ledger, plan_id, user_id, columns)
SELECT d.ledger, d.plan_id, u.user_id,
    list_filter(d.columns, lambda no: list_contains($columns::INTEGER[], no))
FROM ledger.in_doubt d
CROSS JOIN (
    SELECT user_id FROM ledger.refused WHERE ledger = $ledger AND template = $template
    UNION
    SELECT user_id FROM records.rejection_rows
    WHERE destination = $destination AND template = $template
        AND stage = 'plan' AND reason = 'object_too_large' AND list_contains($days::DATE[], as_of)
) u
WHERE d.ledger = $ledger AND d.user_id = $everybody
