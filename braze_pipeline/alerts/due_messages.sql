-- A destination's messages that a channel has not delivered yet, in order (SQLite).
SELECT m.message, m.event, m.created_at, m.number, m.success, coalesce(d.next_at, '') AS next_at
FROM messages m
LEFT JOIN actions a USING (number)
LEFT JOIN successes s USING (success)
LEFT JOIN deliveries d ON d.message = m.message AND d.channel = ?
WHERE m.done_at IS NULL AND d.delivered_at IS NULL AND coalesce(a.destination, s.destination) = ?
ORDER BY m.message
