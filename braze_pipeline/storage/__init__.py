"""What lasts: the DuckDB file, day partitions, migrations, the journal, rejections, locks."""
