-- By channel, a destination's messages that wait because an attempt failed (SQLite): how many, since when,
-- and the problem of the first, behind which the others wait.
WITH waiting AS (
    SELECT m.message, m.created_at
    FROM messages m
    LEFT JOIN actions a USING (number)
    LEFT JOIN successes s USING (success)
    WHERE m.done_at IS NULL AND coalesce(a.destination, s.destination) = ?
)
SELECT
    d.channel,
    (SELECT count(*) FROM waiting o
     LEFT JOIN deliveries e ON e.message = o.message AND e.channel = d.channel
     WHERE e.delivered_at IS NULL),
    min(w.created_at),
    d.problem
FROM deliveries d
JOIN waiting w USING (message)
WHERE d.delivered_at IS NULL
GROUP BY d.channel
ORDER BY d.channel
