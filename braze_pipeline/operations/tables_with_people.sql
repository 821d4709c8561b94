-- The tables of some schemas that have a column which names a person, with those columns.
-- Temporary tables are left alone: they end with the connection.
SELECT schema_name, table_name, list(column_name)
FROM duckdb_columns()
SEMI JOIN (SELECT table_oid FROM duckdb_tables() WHERE NOT temporary) USING (table_oid)
WHERE database_name = current_database()
    AND list_contains($schemas::VARCHAR[], schema_name)
    AND list_contains($columns::VARCHAR[], column_name)
GROUP BY ALL
ORDER BY ALL
