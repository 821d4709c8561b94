-- The rejections of profiles are stored in parts, as the profiles are (profiles/parts.py): what a day
-- consists of is in one place for both, and `rejections` is a view. Those of earlier versions stay where
-- they are, so no day may stand on one that was built before. A template's tables `profile_days` and
-- `profile_replaced` are taken over when its next day is written.
CREATE TABLE records.profile_days (
    table_name VARCHAR NOT NULL,        -- the profiles, as in records.days, in lower case
    as_of DATE NOT NULL,
    part INTEGER NOT NULL,              -- the day's own rows
    base DATE,                          -- the day of which a part stands besides; NULL: none does
    base_part INTEGER,                  -- that part
    destination VARCHAR,
    template VARCHAR,                   -- NULL: the day's rejections are elsewhere
    run_id VARCHAR,                     -- the run that built the day
    built_at TIMESTAMP
);
CREATE TABLE records.profile_replaced (
    table_name VARCHAR NOT NULL,        -- the profiles, as in records.days, in lower case
    as_of DATE NOT NULL,
    customer_id VARCHAR                 -- a customer whose rows of the base do not stand
);
CREATE TABLE records.profile_rejections (
    table_name VARCHAR NOT NULL,        -- the profiles, as in records.days, in lower case
    as_of DATE NOT NULL,                -- with `part`: the part that it belongs to
    part INTEGER NOT NULL,
    customer_id VARCHAR,
    user_id VARCHAR,
    attribute VARCHAR,                  -- Braze name; NULL: the whole row
    reason VARCHAR NOT NULL,            -- code of the rule, e.g. phone_unreadable
    message VARCHAR NOT NULL,           -- what is wrong, in words, with no personal data
    masked_value VARCHAR,
    row_rejected BOOLEAN NOT NULL       -- true: the whole row was rejected for it
);
UPDATE records.days SET made_from = NULL WHERE table_name LIKE '%."profiles"';
ALTER TABLE records.rejections RENAME TO rejection_rows;
CREATE VIEW records.rejections AS
FROM records.rejection_rows
UNION ALL BY NAME
SELECT
    d.as_of, d.destination, d.template, 'profiles' AS stage, d.run_id, d.built_at AS rejected_at,
    r.* EXCLUDE (table_name, as_of, part)
FROM records.profile_rejections AS r
JOIN records.profile_days AS d
    ON r.table_name = d.table_name AND r.as_of = d.as_of AND r.part = d.part
WHERE d.template IS NOT NULL
UNION ALL BY NAME
SELECT
    d.as_of, d.destination, d.template, 'profiles' AS stage, d.run_id, d.built_at AS rejected_at,
    r.* EXCLUDE (table_name, as_of, part)
FROM records.profile_rejections AS r
JOIN records.profile_days AS d
    ON r.table_name = d.table_name AND r.as_of = d.base AND r.part = d.base_part
ANTI JOIN records.profile_replaced AS x
    ON x.table_name = d.table_name AND x.as_of = d.as_of AND x.customer_id = r.customer_id
WHERE d.template IS NOT NULL;
