-- The store of workflow actions (SQLite). Holds no personal data and no credential.
CREATE TABLE actions (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    key TEXT NOT NULL,               -- destination, template and cause: what repeats fold on
    action TEXT NOT NULL,            -- the class, see resolutions.py
    what TEXT NOT NULL,
    fix TEXT NOT NULL,
    destination TEXT NOT NULL,
    template TEXT NOT NULL,
    first_day TEXT,                  -- as-of dates of the last run that met it
    last_day TEXT,
    goal TEXT,                       -- the asset that the run was to reach
    guard TEXT,                      -- the guard that stopped it
    planned INTEGER,
    accepted INTEGER,
    rejected INTEGER,
    run_id TEXT,                     -- the last run that met it
    count INTEGER NOT NULL,          -- how many runs met it
    first_seen TEXT NOT NULL,        -- ISO, UTC
    last_seen TEXT NOT NULL,
    resolved_at TEXT,
    how TEXT                         -- how it was resolved, in words
);
-- One open action a cause; a closed one that comes back gets a new number.
CREATE UNIQUE INDEX one_open_action_a_cause ON actions (key) WHERE resolved_at IS NULL;

-- What an action folds (runs, mostly); also what keeps one from being counted twice.
CREATE TABLE occurrences (
    occurrence TEXT NOT NULL,
    key TEXT NOT NULL,
    number INTEGER NOT NULL REFERENCES actions (number),
    PRIMARY KEY (occurrence, key)
);

-- The outbox: an action is stored together with the message that tells of it.
CREATE TABLE messages (
    message INTEGER PRIMARY KEY AUTOINCREMENT,
    number INTEGER NOT NULL REFERENCES actions (number),
    event TEXT NOT NULL,             -- opened | persists | recovered
    created_at TEXT NOT NULL,
    done_at TEXT                     -- delivered over every channel, or given up
);
CREATE TABLE deliveries (
    message INTEGER NOT NULL REFERENCES messages (message),
    channel TEXT NOT NULL,           -- slack | webhook | mail
    attempts INTEGER NOT NULL,
    next_at TEXT NOT NULL,           -- not before
    delivered_at TEXT,
    problem TEXT,                    -- of the last attempt, without the address
    PRIMARY KEY (message, channel)
);
