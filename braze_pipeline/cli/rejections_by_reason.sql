-- Rejections counted by reason, each with one value and one message as an example.
SELECT as_of, stage, coalesce(attribute, '(whole row)'), reason, count(*),
    min(masked_value), min(message)
FROM records.rejections
WHERE destination = ? AND template = ? AND (?::DATE IS NULL OR as_of = ?)
GROUP BY ALL
ORDER BY as_of DESC, stage, count(*) DESC, reason
LIMIT ?
