-- Counts an attempt to deliver a message over a channel, with its result (SQLite).
INSERT INTO deliveries (message, channel, attempts, next_at, delivered_at, problem)
VALUES (?, ?, 1, ?, ?, ?)
ON CONFLICT (message, channel) DO UPDATE SET
    attempts = attempts + 1,
    next_at = excluded.next_at,
    delivered_at = excluded.delivered_at,
    problem = excluded.problem
