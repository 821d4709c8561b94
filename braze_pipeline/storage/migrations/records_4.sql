-- What a warehouse counted where it computed a day's customer attributes (`run_in`): of the customers
-- that its rules excluded, only these numbers left it.
CREATE TABLE records.counted_elsewhere (
    table_name VARCHAR NOT NULL,        -- the customer attributes table, as in records.days
    as_of DATE NOT NULL,
    rules VARCHAR NOT NULL,             -- JSON: the rules that were applied there
    excluded_by VARCHAR,                -- the first rule that excluded them; NULL: all customers
    customers BIGINT NOT NULL
);
