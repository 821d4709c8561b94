"""Reads ``defs.yaml``: its schema, errors with file and line, and the settings made from it."""
