-- Each history that a customer has, in an order of its own, so that it can be read in chunks; and the
-- table for what is expected of it.
CREATE OR REPLACE TEMP TABLE predicted_value_histories AS
SELECT DISTINCT repeats, recency, tenure
FROM predicted_value_statistics
ORDER BY repeats, recency, tenure;

CREATE OR REPLACE TEMP TABLE predicted_value_factors (
    repeats INTEGER, recency INTEGER, tenure INTEGER, orders DOUBLE, active DOUBLE
);
