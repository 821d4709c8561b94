"""The pipeline's pure core: plain functions over a DuckDB connection, with no Dagster."""
