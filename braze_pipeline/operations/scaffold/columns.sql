-- How the values of each column look, over the rows in the table {table}: counts, and of values only the
-- words for yes and no.
--
-- Every value is seen as text. What a column is follows from its DuckDB type if it has one; of text,
-- from the forms below that all of its values share.
WITH cells AS (
    UNPIVOT (SELECT COLUMNS(*)::VARCHAR FROM {table}) ON COLUMNS(*) INTO NAME name VALUE text
),

filled AS (
    SELECT name, trim(text) AS text FROM cells WHERE trim(text) <> ''
)

SELECT
    name,
    count(*) AS filled,
    count(DISTINCT text) AS different,
    -- A number with a leading zero is a code (a postcode, a card number), not a number.
    bool_and(regexp_full_match(text, '[+-]?(0|[1-9][0-9]{{0,14}})')) AS whole,
    bool_and(text IN ('0', '1')) AS zero_or_one,
    bool_and(regexp_full_match(text, '[+-]?(0|[1-9][0-9]{{0,14}})(\.[0-9]+)?')) AS decimal,
    -- 1.234,56 and 12,5
    bool_and(regexp_full_match(text, '[+-]?(0|[1-9][0-9]{{0,2}}(\.[0-9]{{3}})+|[1-9][0-9]{{0,14}})(,[0-9]+)?'))
        AND bool_or(contains(text, ',')) AS comma,
    bool_and(lower(text) IN ({booleans})) AS boolean,
    bool_and(lower(text) IN ({answers})) AS yes_no,
    coalesce(list(DISTINCT lower(text) ORDER BY lower(text)) FILTER (lower(text) IN ({answers})), [])
        AS answers,
    bool_and(regexp_full_match(text, '[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}')) AS iso_date,
    bool_and(regexp_full_match(text, '[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}[T ][0-9]{{2}}:[0-9]{{2}}.*')) AS iso_time,
    bool_and(regexp_full_match(text, '[0-9]{{1,2}}[./-][0-9]{{1,2}}[./-][0-9]{{4}}')) AS year_last,
    -- Which of the first two numbers must be the day, because it is more than 12.
    coalesce(max(TRY_CAST(regexp_extract(text, '^([0-9]{{1,2}})[./-]', 1) AS INTEGER)) > 12, false)
        AS day_first,
    coalesce(max(TRY_CAST(regexp_extract(text, '^[0-9]{{1,2}}[./-]([0-9]{{1,2}})[./-]', 1) AS INTEGER)) > 12, false)
        AS day_second,
    bool_or(regexp_full_match(text, '[^@\s]+@[^@\s]+\.[^@\s]+')) AS has_email,
    bool_and(regexp_full_match(text, '(\+|00?)[1-9][0-9 ()/.-]{{6,20}}')) AS phone
FROM filled
GROUP BY name
