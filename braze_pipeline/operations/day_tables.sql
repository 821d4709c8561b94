-- The tables of the given templates, and of all others that have days in this database: schema and name.
SELECT schema_name, table_name
FROM duckdb_tables()
WHERE database_name = current_database() AND NOT temporary AND (
    list_contains($given::VARCHAR[], schema_name) OR schema_name IN (
        SELECT schema_name
        FROM duckdb_tables() AS t
        JOIN records.days AS d
            ON d.table_name = '"' || t.schema_name || '"."' || t.table_name || '"'
        WHERE database_name = current_database()
    )
)
ORDER BY ALL
