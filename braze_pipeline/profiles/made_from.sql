-- What a day's profiles are made from: NULL where a table's day has no version.
SELECT $digest || ' ' || any_value(version) FILTER (table_name = $attributes)::VARCHAR
    || ' ' || any_value(version) FILTER (table_name = $audience)::VARCHAR
FROM records.days
WHERE as_of = $day
