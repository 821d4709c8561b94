-- A day of a table says which writing it is, and what it was made from: a step that finds both
-- unchanged may copy what it made before. NULL, as for all days written until now: nothing is known.
ALTER TABLE records.days ADD COLUMN version UUID;
ALTER TABLE records.days ADD COLUMN made_from VARCHAR;
