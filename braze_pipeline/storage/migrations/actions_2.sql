-- Destinations that a person has paused (SQLite): runs plan, and send nothing, until they are resumed.
CREATE TABLE pauses (
    destination TEXT PRIMARY KEY,
    reason TEXT NOT NULL,
    paused_at TEXT NOT NULL          -- ISO, UTC
);
