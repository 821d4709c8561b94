-- A destination's messages that a channel has not delivered yet, in order (SQLite).
SELECT m.message, m.event, m.created_at, a.number, coalesce(d.next_at, '')
FROM messages m
JOIN actions a USING (number)
LEFT JOIN deliveries d ON d.message = m.message AND d.channel = ?
WHERE m.done_at IS NULL AND d.delivered_at IS NULL AND a.destination = ?
ORDER BY m.message
