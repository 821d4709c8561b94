-- By channel, what became of an action's messages, in order (SQLite). A message without a delivery waits
-- behind an earlier one, if it is not done; else the channel was not configured then.
SELECT
    c.channel,
    CASE
        WHEN d.delivered_at IS NOT NULL THEN 'delivered'
        WHEN m.done_at IS NULL THEN 'not yet'
        ELSE 'given up'
    END,
    d.problem
FROM messages m
JOIN (SELECT DISTINCT channel FROM deliveries) c
LEFT JOIN deliveries d USING (message, channel)
WHERE m.number = ? AND (d.message IS NOT NULL OR m.done_at IS NULL)
ORDER BY m.message
