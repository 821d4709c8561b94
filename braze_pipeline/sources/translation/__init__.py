"""DuckDB's SQL in Spark's words, as a first version of the SQL of `run_in`.

============== =================================================================================
``tables``     what the SQL reads: the source tables, brought to the types of their contract
``scopes``     the type of each part of a query, as DuckDB itself gives it
``parts``      what all rules share
``operators``  the rules: operators, CASE and CAST
``functions``  functions over one row
``aggregates`` aggregates and window functions
``rules``      the list of what is allowed
``translate``  WITH, SELECT and FROM, and everything that stands in the way, at once
============== =================================================================================

sqlglot reads the SQL, and every part of it is written by a rule of ours. What has no rule is
refused: a function of the same name often gives other values, and those would be sent to everybody.
"""
