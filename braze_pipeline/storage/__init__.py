"""Everything that is kept: the DuckDB file, day partitions, the journal, migrations, locks."""
