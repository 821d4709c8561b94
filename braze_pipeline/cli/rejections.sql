-- Each rejection, with columns in the order of `rejections_by_reason`.
SELECT as_of, stage, coalesce(attribute, '(whole row)'), reason, customer_id, masked_value, message
FROM records.rejections
WHERE destination = ? AND template = ? AND as_of = ?
ORDER BY stage, attribute, reason, customer_id
LIMIT ?
