-- Rejections counted by reason, each with one value and one message as an example.
SELECT as_of, stage, coalesce(attribute, '(whole row)'), reason, count(*),
    min(masked_value), min(message)
FROM records.rejections
WHERE destination = ? AND template = ? AND as_of = ?
GROUP BY ALL
ORDER BY stage, count(*) DESC, reason
LIMIT ?
