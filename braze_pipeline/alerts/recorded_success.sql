-- Records a run that went well, once for its occasion; if asked, only if it resolved an action (SQLite).
INSERT INTO successes (
    occasion, destination, template, first_day, last_day, run_id,
    accepted, rejected, unchanged, attributes, data_points, warnings, open_actions
)
SELECT
    :occasion, :destination, :template, :first_day, :last_day, :run_id,
    :accepted, :rejected, :unchanged, :attributes, :data_points, :warnings,
    (SELECT count(*) FROM actions WHERE destination = :destination AND resolved_at IS NULL)
WHERE NOT :after_failure OR EXISTS (
    -- The actions that a run resolves have the time of its end.
    SELECT 1 FROM actions
    WHERE destination = :destination AND template = :template AND resolved_at = :now)
ON CONFLICT (destination, template, occasion) DO NOTHING
