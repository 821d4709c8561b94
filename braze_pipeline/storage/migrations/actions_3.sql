-- Messages about runs that went well (SQLite). SQLite cannot drop a NOT NULL, so the table of messages is
-- made again, and with it the one that refers to it.
CREATE TABLE successes (
    success INTEGER PRIMARY KEY AUTOINCREMENT,
    occasion TEXT NOT NULL,          -- what is reported only once: an as-of date, or a run
    destination TEXT NOT NULL,
    template TEXT NOT NULL,
    first_day TEXT NOT NULL,         -- as-of dates of the run
    last_day TEXT NOT NULL,
    run_id TEXT NOT NULL,
    accepted INTEGER NOT NULL,       -- users
    rejected INTEGER NOT NULL,
    unchanged INTEGER NOT NULL,
    attributes INTEGER NOT NULL,     -- values that Braze accepted
    data_points INTEGER NOT NULL,    -- of the plan that was sent
    warnings TEXT NOT NULL,          -- checks that reported a warning
    open_actions INTEGER NOT NULL,   -- of the destination, when the run ended
    UNIQUE (destination, template, occasion)
);

CREATE TABLE new_messages (
    message INTEGER PRIMARY KEY AUTOINCREMENT,
    number INTEGER REFERENCES actions (number),      -- what it is about: an action,
    success INTEGER REFERENCES successes (success),  -- or a run that went well
    event TEXT NOT NULL,             -- opened | persists | recovered | succeeded
    created_at TEXT NOT NULL,
    done_at TEXT                     -- delivered over every channel, or given up
);
INSERT INTO new_messages (message, number, event, created_at, done_at)
SELECT message, number, event, created_at, done_at FROM messages;

CREATE TABLE new_deliveries (
    message INTEGER NOT NULL REFERENCES new_messages (message),
    channel TEXT NOT NULL,           -- slack | webhook | mail
    attempts INTEGER NOT NULL,
    next_at TEXT NOT NULL,           -- not before
    delivered_at TEXT,
    problem TEXT,                    -- of the last attempt, without the address
    PRIMARY KEY (message, channel)
);
INSERT INTO new_deliveries (message, channel, attempts, next_at, delivered_at, problem)
SELECT message, channel, attempts, next_at, delivered_at, problem FROM deliveries;

DROP TABLE deliveries;
DROP TABLE messages;
ALTER TABLE new_messages RENAME TO messages;
ALTER TABLE new_deliveries RENAME TO deliveries;
