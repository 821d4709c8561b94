-- The ledger's fixed tables. The values lie in one wide table per ledger (see columns.py).
CREATE SCHEMA IF NOT EXISTS ledger;

-- One row a ledger: a destination, seen through one kind of user identifier.
CREATE TABLE ledger.ledgers (
    ledger VARCHAR NOT NULL,
    destination VARCHAR NOT NULL,
    identifier VARCHAR NOT NULL,        -- external_id | braze_id
    version BIGINT NOT NULL             -- goes up with each change of what the ledger says
);

-- Who raised the version: a plan stays good while only its own send did.
CREATE TABLE ledger.changes (
    ledger VARCHAR NOT NULL,
    version BIGINT NOT NULL,
    plan_id VARCHAR,                    -- NULL: a command
    what VARCHAR NOT NULL,              -- apply acknowledgements | advance watermarks | import | reset | forget | adopt
    changed_at TIMESTAMP NOT NULL
);

-- Braze name to column number k of the wide table (v{k} the value, a{k} the acknowledgement).
CREATE TABLE ledger.attributes (
    ledger VARCHAR NOT NULL,
    attribute VARCHAR NOT NULL,
    column_no INTEGER NOT NULL,
    type VARCHAR,                       -- ValueType; NULL: reset, the next plan sets it
    first_sent_at TIMESTAMP,            -- NULL: planned, never acknowledged
    reset_ack INTEGER                   -- acknowledgements up to this one no longer count
);

-- One row a template that sends to the ledger (s{j}, f{j}, u{j} of the wide table).
CREATE TABLE ledger.templates (
    ledger VARCHAR NOT NULL,
    template VARCHAR NOT NULL,
    template_no INTEGER NOT NULL,
    as_of DATE,                         -- newest day carried out
    evaluations BIGINT NOT NULL,        -- how many plans were carried out
    attributes VARCHAR[] NOT NULL       -- what the newest of them looked at
);

-- What a{k} points to: one row a send, as-of date and second.
CREATE TABLE ledger.acks (
    ledger VARCHAR NOT NULL,
    ack_no INTEGER NOT NULL,
    how VARCHAR NOT NULL,               -- send | export (a Braze export file)
    as_of DATE,                         -- NULL for an export: it never blocks a day
    acknowledged_at TIMESTAMP NOT NULL,
    template VARCHAR,
    plan_id VARCHAR,
    run_id VARCHAR,
    send_id BIGINT
);

-- Objects that Braze refused: the same object is not sent again.
CREATE TABLE ledger.refused (
    ledger VARCHAR NOT NULL,
    template VARCHAR NOT NULL,
    user_id VARCHAR NOT NULL,
    object_md5 VARCHAR NOT NULL,
    status INTEGER,
    plan_id VARCHAR NOT NULL,
    as_of DATE NOT NULL,
    refused_at TIMESTAMP NOT NULL
);

-- How far the journal is folded. started_at tells a send from one of an earlier journal file.
CREATE TABLE ledger.folded (
    plan_id VARCHAR NOT NULL,
    send_id BIGINT NOT NULL,
    started_at VARCHAR NOT NULL,
    complete BOOLEAN NOT NULL
);
CREATE TABLE ledger.folded_ranges (
    plan_id VARCHAR NOT NULL,
    send_id BIGINT NOT NULL,
    request_no INTEGER NOT NULL,
    first_index INTEGER NOT NULL
);

-- What a send that did not end well may have brought to Braze without our learning of it (requests
-- in flight at a kill, time-outs): whatever the ledger says, these attributes go out once more.
CREATE TABLE ledger.doubts (
    ledger VARCHAR NOT NULL,
    plan_id VARCHAR NOT NULL,
    user_id VARCHAR NOT NULL,
    columns INTEGER[] NOT NULL          -- column numbers
);

-- Users whose "newest day evaluated" moves once the plan is carried out, though nothing is sent:
-- as_of NULL: no longer part of the newest day; else: evaluated for that day, and up to date.
CREATE TABLE ledger.unsettled (
    plan_id VARCHAR NOT NULL,
    user_id VARCHAR NOT NULL,
    as_of DATE
);
