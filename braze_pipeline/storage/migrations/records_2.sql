-- A plan is one JSON document: PlanSummary in core/plan/records.py. Columns are what SQL goes by, and
-- what changes after it was made. Its snapshot is found by its id, wherever the database was moved to.
CREATE TABLE records.new_plans (
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
    accepted_users BIGINT NOT NULL,     -- as folded into the ledger
    refused_users BIGINT NOT NULL,
    summary JSON NOT NULL
);
INSERT INTO records.new_plans BY NAME
SELECT
    plan_id, destination, ledger, template, template_no, run_id, days, created_at, ledger_version,
    evaluation, status, accepted_users, refused_users, summary::JSON AS summary
FROM records.plans
ORDER BY rowid;
DROP TABLE records.plans;
ALTER TABLE records.new_plans RENAME TO plans;
