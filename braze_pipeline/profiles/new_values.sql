-- Raw values that are not in the cache yet, numbered from 0 for its pages.
CREATE OR REPLACE TEMP TABLE __new_raw AS
SELECT row_number() OVER () - 1 AS n, params, raw
FROM (SELECT DISTINCT params, raw FROM ({pairs}) WHERE raw IS NOT NULL) AS seen
ANTI JOIN (SELECT params, raw FROM {table} WHERE kind = {kind}) AS known
USING (params, raw)
