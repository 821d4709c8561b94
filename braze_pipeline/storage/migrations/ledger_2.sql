-- Which Braze endpoint each ledger is about (see core/ledger/endpoint.py); the newest row counts.
CREATE TABLE ledger.endpoints (
    ledger VARCHAR NOT NULL,
    endpoint VARCHAR NOT NULL,
    reason VARCHAR,                     -- NULL: the ledger was empty
    bound_at TIMESTAMP NOT NULL
);
