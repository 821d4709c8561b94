"""Places that DuckDB does not read by itself: object storage, lakehouse tables, databases.

Whatever the place, its rows become private files of one run, which the rest of the room reads like
any file: the same rows then give the same plan, wherever they come from. One module for each kind
of place; all are read as a stream, so that memory is bounded whatever the size of a table.

================ ================================================== =================
``object_store`` Parquet and CSV under s3, gs, abfs and https       copied as they are
``lakehouse``    Delta and Iceberg tables                           Arrow to Parquet
``databases``    Postgres, Redshift, Snowflake, BigQuery, Databricks Arrow to Parquet
``spark``        tables and files that a Spark cluster sees         Parquet by the cluster
================ ================================================== =================

What does not belong here: reading and checking values, which is the same for every place.
"""
