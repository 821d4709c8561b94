-- What is in doubt for everybody stays so for each user whom the plan could not send it: their last
-- object was refused, their row or value was rejected that day, or their object is too large.
INSERT INTO ledger.in_doubt (ledger, plan_id, user_id, columns)
SELECT DISTINCT d.ledger, d.plan_id, u.user_id, list_intersect(d.columns, u.columns)
FROM ledger.in_doubt d
CROSS JOIN (
    SELECT user_id, $columns::INTEGER[] AS columns
    FROM ledger.refused WHERE ledger = $ledger AND template = $template
    UNION ALL
    SELECT r.user_id, CASE WHEN r.row_rejected THEN $columns::INTEGER[] ELSE [a.column_no] END
    FROM records.rejections r
    LEFT JOIN ledger.attributes a ON a.ledger = $ledger AND a.attribute = r.attribute
    WHERE r.destination = $destination AND r.template = $template
        AND r.stage <> 'send' AND r.user_id IS NOT NULL AND list_contains($days::DATE[], r.as_of)
) u
WHERE d.ledger = $ledger AND d.user_id = $everybody AND list_has_any(d.columns, u.columns)
