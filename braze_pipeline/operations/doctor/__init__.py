"""Checks that everything a run needs is in order, without changing anything.

=================== ==================================================================
``finding``         the result of a check: what it saw, and how to fix it
``connection``      the name and the port of a Braze endpoint
``contract``        the limits that a send keeps
``access``          whether it answers like Braze, the key, its permissions, the clock
``memory``          what DuckDB may use of this machine
``disk``            free space and permissions where the database is
``database``        the files of the database and their schemas
``sources``         the connections and places that the templates read
``predicted_value`` which fit is in force, and when the next one is made
``alerts``          whether a person has paused the destination; which notifications wait
``journal``         sends that are not in the ledger yet; the last acknowledgement
``trial``           what still points at the sandbox
``zones``           time zone data
=================== ==================================================================

``braze_pipeline.orchestration.health`` checks Dagster's own settings.
"""
