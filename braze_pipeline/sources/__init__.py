"""The source tables, as views with the columns and types that everything downstream relies on.

A source is a Parquet file, a CSV file with a header, a folder of Parquet files, or a table or view
of another DuckDB database. What is missing or cannot be read is an error that names table, file,
column and row; nothing becomes NULL in silence.
"""

from braze_pipeline.sources.attach import SourceInfo, attach_sources
from braze_pipeline.sources.find import find_source
from braze_pipeline.sources.seal import BUILT, result_file, sealed
from braze_pipeline.sources.typed_tables import TABLES, SourceColumn, SourceTable

__all__ = [
    "BUILT",
    "TABLES",
    "SourceColumn",
    "SourceInfo",
    "SourceTable",
    "attach_sources",
    "find_source",
    "result_file",
    "sealed",
]
