"""The customer attributes table: its SQL run for a day, its lineage, its sources' freshness."""
