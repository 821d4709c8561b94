-- Users to ask Braze for: never asked, or not in Braze when they were asked long ago.
FROM (
    SELECT DISTINCT __user_id AS user_id
    FROM {profiles}
    WHERE __as_of IN ({days})
) p
LEFT JOIN {users} l USING (user_id)
WHERE l.known IS NULL OR (NOT l.known AND l.known_at <= $before)
