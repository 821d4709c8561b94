"""The plan: what would change in Braze, at what cost, and whether it may be sent.

================ =============================================================================
``step``         the plan step from start to end, with its questions to Braze
``preflight``    names and types compared with Braze's
``lookup``       which users Braze has
``build``        the plan of one day or of a range of days
``diff``         the one join of profiles and ledger
``unchanged``    who is left as they are, counted without the diff
``payload``      the JSON objects, made in SQL
``snapshot``     rows numbered into requests, as an immutable Parquet file
``summarise``    the counts of a plan
``forecast``     users, requests, minutes, data points
``guards``       what stops a plan
``stored_plans`` the plan as a row of ``records.plans``; whether it may still be sent
``rows``         the plan as rows: user, attribute, old, new, reason
================ =============================================================================
"""
