"""What the sensors find out about runs.

What belongs here: reading a run's events (``runs``), which runs have ended (``changes``), why one
failed (``diagnosis``), what one that succeeded settles (``outcomes``), and runs and sends that take
too long (``lateness``). What does not: the sensor definitions, and telling people.
"""
