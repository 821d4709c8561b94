-- The settings of every connection.
SET TimeZone = 'UTC';
SET autoinstall_known_extensions = false;
SET enable_progress_bar = false;
-- A table's name in SQL must never refer to a Python variable.
SET python_enable_replacements = false;
