"""The pipeline's pure core: plain functions over a DuckDB connection. Nothing here knows Dagster."""
