-- What runs leave behind beside the ledger, as version 0.1.0 had it.
CREATE SCHEMA IF NOT EXISTS records;

-- Which days each day table has.
CREATE TABLE IF NOT EXISTS records.days (
    table_name VARCHAR NOT NULL,
    as_of DATE NOT NULL,
    written_at TIMESTAMP NOT NULL       -- UTC
);

CREATE TABLE IF NOT EXISTS records.plans (
    plan_id VARCHAR NOT NULL,
    destination VARCHAR NOT NULL,
    ledger VARCHAR NOT NULL,
    template VARCHAR NOT NULL,
    template_no INTEGER NOT NULL,
    run_id VARCHAR NOT NULL,
    days DATE[] NOT NULL,
    created_at TIMESTAMP NOT NULL,
    ledger_version BIGINT NOT NULL,
    evaluation BIGINT NOT NULL,         -- plans of the template carried out before
    status VARCHAR NOT NULL,            -- ready | held | sending | sent | outdated | forgotten
    audience BIGINT NOT NULL,
    profiles BIGINT NOT NULL,
    planned_users BIGINT NOT NULL,
    planned_attributes BIGINT NOT NULL,
    unchanged_users BIGINT NOT NULL,
    superseded_users BIGINT NOT NULL,
    held_back_users BIGINT NOT NULL,
    leaving_users BIGINT NOT NULL,
    requests BIGINT NOT NULL,
    data_points BIGINT NOT NULL,
    accepted_users BIGINT NOT NULL,     -- as folded into the ledger
    refused_users BIGINT NOT NULL,
    force_stale VARCHAR,                -- the reason given for overriding the stale guard
    columns VARCHAR NOT NULL,           -- JSON: what c{k}, n{k}, o{k} of the snapshot are
    summary VARCHAR NOT NULL,           -- JSON: the PlanSummary
    snapshot VARCHAR NOT NULL
);

CREATE TABLE IF NOT EXISTS records.guards_let_through (
    plan_id VARCHAR NOT NULL,
    guard VARCHAR NOT NULL,
    reason VARCHAR NOT NULL,
    let_through_at TIMESTAMP NOT NULL
);

CREATE TABLE IF NOT EXISTS records.rejections (
    as_of DATE NOT NULL,
    destination VARCHAR NOT NULL,
    template VARCHAR NOT NULL,
    stage VARCHAR NOT NULL,             -- profiles | plan | send
    customer_id VARCHAR,
    user_id VARCHAR,
    attribute VARCHAR,                  -- Braze name; NULL: the whole row
    reason VARCHAR NOT NULL,            -- code of the rule, e.g. phone_unreadable
    message VARCHAR NOT NULL,           -- what is wrong, in words, with no personal data
    masked_value VARCHAR,
    row_rejected BOOLEAN NOT NULL,      -- true: the whole row was rejected for it
    run_id VARCHAR NOT NULL,
    rejected_at TIMESTAMP NOT NULL,
    status INTEGER,                     -- send: HTTP status
    attempt INTEGER,                    -- send: which attempt
    request_id VARCHAR                  -- send: plan and request number
);

-- One row a send.
CREATE TABLE IF NOT EXISTS records.send_outcomes (
    plan_id VARCHAR NOT NULL,
    run_id VARCHAR NOT NULL,
    destination VARCHAR NOT NULL,
    template VARCHAR NOT NULL,
    newest_day DATE NOT NULL,
    ended_at TIMESTAMP NOT NULL,
    status VARCHAR NOT NULL,            -- sent, or the class of what stopped it
    planned_users BIGINT NOT NULL,
    accepted_users BIGINT NOT NULL,     -- over all sends of the plan
    rejected_users BIGINT NOT NULL,
    not_attempted_users BIGINT NOT NULL,
    requests BIGINT NOT NULL,           -- of this send alone, retries included
    bytes BIGINT NOT NULL,
    seconds DOUBLE NOT NULL,
    throttled_seconds DOUBLE NOT NULL,
    latency_p50 DOUBLE NOT NULL,        -- seconds
    latency_p95 DOUBLE NOT NULL,
    latency_p99 DOUBLE NOT NULL,
    retries VARCHAR NOT NULL,           -- JSON: cause to count
    refused VARCHAR NOT NULL            -- JSON: Braze's sentence to users
);

-- The cache of raw values that were read once.
CREATE TABLE IF NOT EXISTS records.normalised_values (
    kind VARCHAR NOT NULL,              -- how it was read: email, phone, date, ...
    params VARCHAR NOT NULL,            -- what reading depended on: region, order of dates, zone
    raw VARCHAR NOT NULL,               -- as the source has it
    version INTEGER NOT NULL,           -- of the reader
    value VARCHAR,                      -- canonical, NULL where it could not be read
    problem VARCHAR,                    -- then the code of what is wrong
    made_on DATE NOT NULL
);

-- From which source columns each column of a template's SQL is made.
CREATE TABLE IF NOT EXISTS records.column_lineage (
    destination VARCHAR NOT NULL,
    template VARCHAR NOT NULL,
    made_from VARCHAR NOT NULL,         -- hash of the SQL, the sources' columns and the parser
    origins VARCHAR NOT NULL,           -- JSON: column -> [[source table, its column], ...]
    PRIMARY KEY (destination, template)
);
