"""The plan: what would change in Braze, at what cost, and whether it may go out.

============== ===============================================================================
``build``      the plan of one day or of a range of days, start to end
``diff``       the one join of profiles and ledger
``payload``    the JSON objects, made in SQL
``snapshot``   rows numbered into requests, as an immutable Parquet file
``forecast``   users, requests, minutes, data points
``guards``     when a plan is held back
``records``    the plan as a row of ``records.plans``; whether it may still be sent
``rows``       the plan as rows: user, attribute, old, new, reason
============== ===============================================================================
"""
