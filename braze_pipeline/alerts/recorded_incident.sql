-- Adds an action, or counts an incident as a repeat of the open action with its key (SQLite).
INSERT INTO actions (
    number, key, action, what, fix, destination, template, first_day, last_day, goal, guard,
    planned, accepted, rejected, run_id, count, first_seen, last_seen
)
VALUES (
    -- That of the open action, so that a repeat uses up no number; of a new one NULL.
    :number, :key, :action, :what, :fix, :destination, :template, :first_day, :last_day, :goal, :guard,
    :planned, :accepted, :rejected, :run_id, 1, :now, :now
)
-- What an older day, or a run with a nearer goal, leaves as it was is given as it was.
ON CONFLICT (number) DO UPDATE SET
    count = count + 1,
    action = excluded.action,
    what = excluded.what,
    fix = excluded.fix,
    first_day = excluded.first_day,
    last_day = excluded.last_day,
    goal = excluded.goal,
    guard = excluded.guard,
    planned = excluded.planned,
    accepted = excluded.accepted,
    rejected = excluded.rejected,
    run_id = excluded.run_id,
    last_seen = excluded.last_seen
