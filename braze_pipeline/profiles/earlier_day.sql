-- The last day before this one whose profiles were made in the same way as they would be today, and
-- from the attributes and audience that the warehouse still has of that day.
SELECT built.as_of
FROM records.days AS built
JOIN records.days AS attributes
    ON attributes.table_name = $attributes AND attributes.as_of = built.as_of
JOIN records.days AS audience
    ON audience.table_name = $audience AND audience.as_of = built.as_of
WHERE built.table_name = $profiles AND built.as_of < $day
    AND built.made_from
        = $digest || ' ' || attributes.version::VARCHAR || ' ' || audience.version::VARCHAR
ORDER BY built.as_of DESC
LIMIT 1
