-- Columns whose type is not the same in all Parquet files of a table. DuckDB would cast them to the
-- type of the first file: 1.5 would silently become 2, and a time lose its hour.
WITH leaf AS (
    SELECT
        file_name,
        lower(name) AS name,
        CASE
            WHEN converted_type = 'UTF8' OR logical_type LIKE 'String%' THEN 'text'
            WHEN converted_type = 'DECIMAL' OR logical_type LIKE 'Decimal%' THEN 'decimal ' || scale
            -- Spark's older form of a time; it has no zone.
            WHEN type = 'INT96' THEN 'timestamp'
            WHEN logical_type LIKE 'Timestamp%isAdjustedToUTC=0%' THEN 'timestamp'
            WHEN logical_type LIKE 'Timestamp%' OR converted_type LIKE 'TIMESTAMP%' THEN 'instant'
            -- A number that does not fit into the first file's type is an error when it is read.
            WHEN type IN ('INT32', 'INT64')
                AND (converted_type IS NULL OR converted_type LIKE '%INT%') THEN 'integer'
            ELSE concat_ws(' ', type, converted_type)
        END AS kind
    FROM parquet_schema({files})
    WHERE type IS NOT NULL
),

-- Nested columns may have several leaves of one name.
of_file AS (
    SELECT file_name, name, list_sort(list(kind)) AS kinds
    FROM leaf
    GROUP BY file_name, name
)

SELECT name, min_by(file_name, kinds) AS one, max_by(file_name, kinds) AS other
FROM of_file
GROUP BY name
HAVING count(DISTINCT kinds) > 1
ORDER BY name
LIMIT 1
