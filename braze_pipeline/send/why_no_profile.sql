-- Why a user has no profile of a day: the rule that excluded them, or why their row was rejected.
SELECT
    a.left_out_by,
    (
        SELECT string_agg(DISTINCT coalesce(r.attribute || ': ', '') || r.reason, ', ')
        FROM {rejections} r
        WHERE r.customer_id = c.{customer}::VARCHAR AND r.as_of = $day AND r.row_rejected
            AND r.stage = 'profiles' AND r.destination = $d AND r.template = $template
    ) AS reasons
FROM {attributes} c
JOIN {audience} a ON a.customer_id = c.{customer}::VARCHAR AND a.__as_of = c.__as_of
WHERE c.__as_of = $day AND c.{identifier}::VARCHAR = $user
LIMIT 1
