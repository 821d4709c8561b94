-- The profiles of each day, put together from their parts: a day's own rows, and those of its base but for
-- the customers that are not as they were there.
CREATE OR REPLACE VIEW {profiles} AS
SELECT d.as_of AS __as_of, r.* EXCLUDE (__as_of, __part)
FROM {rows} AS r
JOIN records.profile_days AS d
    ON d.table_name = {name} AND r.__as_of = d.as_of AND r.__part = d.part
UNION ALL
SELECT d.as_of AS __as_of, r.* EXCLUDE (__as_of, __part)
FROM {rows} AS r
JOIN records.profile_days AS d
    ON d.table_name = {name} AND r.__as_of = d.base AND r.__part = d.base_part
ANTI JOIN records.profile_replaced AS x
    ON x.table_name = {name} AND x.as_of = d.as_of AND x.customer_id = r.__customer_id
