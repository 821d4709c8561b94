-- The tables of some schemas that have a column which names a person, with those columns.
-- Temporary tables are left alone: they end with the connection. In a template's schema, names
-- without `__` can be the brand's: `user_id` may be any column of its SQL, and `profile_rows`
-- (`profiles` before) has a column for each name in Braze. Only the customer id of the other tables is
-- certainly one.
SELECT schema_name, table_name, list(column_name)
FROM duckdb_columns()
SEMI JOIN (SELECT table_oid FROM duckdb_tables() WHERE NOT temporary) USING (table_oid)
WHERE database_name = current_database()
    AND list_contains($schemas::VARCHAR[], schema_name)
    AND list_contains($columns::VARCHAR[], column_name)
    AND (
        NOT list_contains($templates::VARCHAR[], schema_name)
        OR column_name LIKE '\_\_%' ESCAPE '\'
        OR (column_name = 'customer_id' AND table_name NOT IN ('profiles', 'profile_rows'))
    )
GROUP BY ALL
ORDER BY ALL
