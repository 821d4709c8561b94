-- Mark users by a query for user_id and known. What is known already stays as it is.
MERGE INTO {users} l
USING {found} n ON l.user_id = n.user_id
WHEN MATCHED AND l.known IS NOT TRUE THEN UPDATE SET known = n.known, known_how = $how, known_at = $now
WHEN NOT MATCHED THEN INSERT (user_id, known, known_how, known_at)
    VALUES (n.user_id, n.known, $how, $now)
