"""What the sensors find out about runs.

What belongs here: a run's events (``runs``), which runs have ended (``changes``), why a run failed
(``diagnosis``), which actions a successful run closes or opens (``outcomes``), runs and sends that
are late (``lateness``), and one look at all of these (``tick``). What does not belong here: the
definitions of the sensors, and notifications.
"""
