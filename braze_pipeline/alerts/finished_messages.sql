-- Marks messages as done (SQLite): each configured channel (there may be none) has delivered them, or
-- has tried in vain often enough and they are too old to be news.
UPDATE messages SET done_at = ?
WHERE done_at IS NULL
  AND (number IN (SELECT number FROM actions WHERE destination = ?)
       OR success IN (SELECT success FROM successes WHERE destination = ?))
  AND {count} = (
      SELECT count(*) FROM deliveries d
      WHERE d.message = messages.message
        AND (d.delivered_at IS NOT NULL OR (messages.created_at < ? AND d.attempts >= ?))
        AND d.channel IN ({channels}))
