"""The configuration a brand writes: its schema, its errors with file and line, its resolution."""
