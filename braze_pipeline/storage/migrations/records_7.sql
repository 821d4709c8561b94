-- The rejections of profiles are stored in parts, as the profiles are (profiles/parts.py): what a day
-- consists of is in one place for both, and `rejections` is a view. Those of earlier versions have no
-- part, so no day may stand on one that was built before. The tables `profile_days` and `profile_replaced`
-- of a template are taken over when its next day is written.
CREATE TABLE records.profile_days (
    table_name VARCHAR NOT NULL,        -- the profiles, as in records.days
    as_of DATE NOT NULL,
    part INTEGER NOT NULL,              -- the day's own rows
    base DATE,                          -- the day whose rows stand besides; NULL: none do
    base_part INTEGER,                  -- the part of that day
    run_id VARCHAR,                     -- the run that built the day
    built_at TIMESTAMP
);
CREATE TABLE records.profile_replaced (
    table_name VARCHAR NOT NULL,        -- the profiles, as in records.days
    as_of DATE NOT NULL,
    customer_id VARCHAR                 -- a customer whose rows of the base do not stand
);
UPDATE records.days SET made_from = NULL WHERE table_name LIKE '%."profiles"';
ALTER TABLE records.rejections RENAME TO rejection_rows;
ALTER TABLE records.rejection_rows ADD COLUMN table_name VARCHAR; -- stage profiles: as in records.days
ALTER TABLE records.rejection_rows ADD COLUMN part INTEGER; -- stage profiles: the day's part it is in
CREATE VIEW records.rejections AS
SELECT * EXCLUDE (table_name, part) FROM records.rejection_rows WHERE part IS NULL
UNION ALL BY NAME
SELECT
    d.as_of, d.run_id, d.built_at AS rejected_at,
    r.* EXCLUDE (as_of, run_id, rejected_at, table_name, part)
FROM records.rejection_rows AS r
JOIN records.profile_days AS d
    ON r.table_name = d.table_name AND r.as_of = d.as_of AND r.part = d.part
UNION ALL BY NAME
SELECT
    d.as_of, d.run_id, d.built_at AS rejected_at,
    r.* EXCLUDE (as_of, run_id, rejected_at, table_name, part)
FROM records.rejection_rows AS r
JOIN records.profile_days AS d
    ON r.table_name = d.table_name AND r.as_of = d.base AND r.part = d.base_part
ANTI JOIN records.profile_replaced AS x
    ON x.table_name = d.table_name AND x.as_of = d.as_of AND x.customer_id = r.customer_id;
