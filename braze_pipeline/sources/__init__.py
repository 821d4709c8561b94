"""The source tables as views, with the columns and types that every later step relies on.

================ ===============================================================================
``places``       where a table can be: files and folders, DuckDB databases
``typed_tables`` the tables with a typed contract
``readings``     from the types of a source to those of the contract
``attach``       the views, and the checks that every table must pass
``seal``         a DuckDB with these views and nothing else, for the brand's SQL
``reach``        what that SQL reaches for, before it runs
``user_sql``     running it, with errors that name file and line
``translation``  a first version of it in Spark's SQL
================ ===============================================================================

What is missing or cannot be read is an error that names table, file, column and row; nothing
silently becomes NULL.
"""

from braze_pipeline.sources.attach import SourceInfo, attach_sources
from braze_pipeline.sources.places.files import find_source
from braze_pipeline.sources.seal import BUILT, attach_built, sealed
from braze_pipeline.sources.typed_tables import TABLES, SourceColumn, SourceTable

__all__ = [
    "BUILT",
    "TABLES",
    "SourceColumn",
    "SourceInfo",
    "SourceTable",
    "attach_built",
    "attach_sources",
    "find_source",
    "sealed",
]
