-- Marks messages as done (SQLite): delivered over every configured channel (there may be none), or
-- too old to be news.
UPDATE messages SET done_at = ?
WHERE done_at IS NULL
  AND (number IN (SELECT number FROM actions WHERE destination = ?)
       OR success IN (SELECT success FROM successes WHERE destination = ?))
  AND (created_at < ? OR {count} = (
      SELECT count(*) FROM deliveries d
      WHERE d.message = messages.message AND d.delivered_at IS NOT NULL
        AND d.channel IN ({channels})))
