"""All that is known about Braze, and nothing else: no database, no orchestration."""
