-- The journal of acknowledgements (SQLite): what Braze answered, one small row a request.
CREATE TABLE IF NOT EXISTS sends (
    send_id INTEGER PRIMARY KEY AUTOINCREMENT,
    destination TEXT NOT NULL,
    template TEXT NOT NULL,
    plan_id TEXT NOT NULL,
    run_id TEXT NOT NULL,
    started_at TEXT NOT NULL,           -- ISO, UTC, as all times here
    ended_at TEXT,                      -- NULL: under way, or killed
    status TEXT NOT NULL,               -- running | done | stopped | failed
    folded_at TEXT,                     -- when all of it was in the ledger
    summary TEXT                        -- JSON: what the send measured
);
CREATE TABLE IF NOT EXISTS acknowledgements (
    send_id INTEGER NOT NULL,
    request_no INTEGER NOT NULL,
    first_index INTEGER NOT NULL,
    count INTEGER NOT NULL,
    acknowledged_at TEXT NOT NULL,
    PRIMARY KEY (send_id, request_no, first_index)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS refusals (
    send_id INTEGER NOT NULL,
    request_no INTEGER NOT NULL,
    object_index INTEGER NOT NULL,
    status INTEGER,
    error TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    PRIMARY KEY (send_id, request_no, object_index)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS sends_by_plan ON sends (plan_id);
