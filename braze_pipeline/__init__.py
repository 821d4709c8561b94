"""Keeps customer attributes in Braze up to date, with Dagster and DuckDB."""

__version__ = "0.1.0"
