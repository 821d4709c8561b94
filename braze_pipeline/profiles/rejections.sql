-- The day's failures, with the words for their codes; values are masked already.
SELECT b.__customer_id AS customer_id, b.__user_id AS user_id, f.attribute, f.code AS reason,
    {words} AS message, f.masked AS masked_value, f.rejects_row AS row_rejected
FROM {failures} AS f JOIN {mapped} AS b USING (__rid)
