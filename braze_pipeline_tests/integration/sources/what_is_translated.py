"""Values at the edges, and a list of what is translated into Spark's SQL, over them."""

from __future__ import annotations

EDGES = """
SELECT id::BIGINT AS id, i::INTEGER AS i, j::BIGINT AS j, x::DOUBLE AS x, y::DOUBLE AS y, b,
    d::DECIMAL(18, 6) AS d, s, u, day::DATE AS day, moment::TIMESTAMP AS moment,
    timezone('UTC', moment::TIMESTAMP) AS instant
FROM (VALUES
    (1, 7, 2, 1.005, 1.005, 12.345678, 'Ab c', 'x', '2024-01-31', '2024-02-29 23:59:59.5', true),
    (2, -7, 2, -1.005, -0.5, -0.000005, '  é\u00a0', 'y', '2023-02-28', '2024-03-31 01:30', false),
    (3, 7, -2, 2.675, 0.5, 999.999999, '', '', '1999-12-31', '1999-12-31 00:00:00', NULL),
    (4, 0, 3, 0.125, 1000000.5, 0.5, 'it''s 50% \\ a_b', '2024-02-29', '2024-02-29', NULL, true),
    (5, NULL, 3, NULL, NULL, NULL, NULL, NULL, NULL, '2024-12-01 12:00:00', NULL),
    (6, 2147483647, 5, 0.285, 2.5, 1e-6, 'Ab c', 'Z', '2024-03-31', '2024-01-01 00:00:00', false)
) AS t(id, i, j, x, y, d, s, u, day, moment, b)
"""
EXPRESSIONS = """
i + j, i - j, i::BIGINT * j, i / j, i // j, i % j, j // (j - 2), j % (j - 2), -i, - -i, x + y,
x * 2, x / y, d + 1, d * 2, d - j, d * d, d / 3, d / j, x * d, x::DECIMAL(18, 2),
x::DECIMAL(9, 0), y::DECIMAL(9, 0), (x + y)::DECIMAL(18, 2), (x / 3)::DECIMAL(18, 6),
(d / 7)::DECIMAL(18, 6), d::DECIMAL(9, 2), d::DOUBLE, d::VARCHAR, i::VARCHAR, b::VARCHAR,
day::VARCHAR, day::VARCHAR::DATE, '2024-02-29'::DATE, b::INTEGER,
i::DECIMAL(12, 2), moment::DATE, day::TIMESTAMP,
instant <= instant, round(d, 2),
round(d), round(-d, 3), abs(d), abs(x), abs(i), x > 1, x = 1.005, d < x, d >= 0.5, i = j,
s = u, i <> 7, x <= y, s < u, day < moment, day = DATE '2024-02-29', moment > $as_of,
day < $as_of, b = true, NOT b, i IN (7, 0), i NOT IN (7, 0), s IN ('', 'Ab c'),
i NOT IN (7, NULL), i BETWEEN -7 AND 7, s BETWEEN 'A' AND 'b', x NOT BETWEEN 0 AND 1,
s LIKE 'A%', s NOT LIKE '%c', s LIKE '%50%%', s LIKE 'it''s%a_b', b IS TRUE, b IS NOT TRUE,
b IS FALSE, s IS NULL, s IS NOT NULL, s IS DISTINCT FROM u, i IS NOT DISTINCT FROM 7,
b AND x > 1, b OR i > 0, NOT (b AND x > 1), coalesce(d, 0), coalesce(i, d), coalesce(x, d, 1),
coalesce(s, u, '-'), nullif(i, 7), nullif(d, 0.5), nullif(s, ''), least(i, j),
greatest(i, NULL, j), least(x, d), greatest(d, 1.5), least(s, u), greatest(b, false),
CASE WHEN b THEN d ELSE 1 END, CASE i WHEN 7 THEN 'a' WHEN -7 THEN 'b' END,
CASE WHEN x > 1 THEN i WHEN x > 0 THEN d ELSE NULL END, if(b, x, d), if(b, day, $as_of),
s || '-' || u, s || i, trim(s), trim(s, 'Ac'), length(s), left(s, 1), left(s, 2),
starts_with(s, 'A'), starts_with(s, u), day - DATE '2023-12-31', $as_of - day, day + 30,
day - i % 100, day + INTERVAL 1 MONTH, day - INTERVAL 12 MONTH, day + INTERVAL 1 YEAR,
moment + INTERVAL 36 HOUR, moment - INTERVAL '90' MINUTE, day + INTERVAL 2 WEEK,
moment + INTERVAL 5 SECONDS, day > $as_of - INTERVAL 1 MONTH, day + INTERVAL 1 DAY < moment,
'a\\b''c$as_of', [i, j], [d, 1], len([i, j]), [i, j][1], [i, j][3], [s, u][2],
list_sort([i, j, NULL]), list_filter([i, j], lambda v: v > 2),
len(list_filter([x, y], lambda v: v > d)), list_filter([s, u, NULL], lambda v: v IS NOT NULL),
(i + j) * j, i - (j - i % 100), (s || 'a') = u, (i = 7) = b
"""
"""Over one row."""
OVER_ALL = """
count(*), count(d), count(DISTINCT s), count(*) FILTER (b), sum(j), sum(d),
sum(d) FILTER (i > 0), min(s), max(s), min(day), max(moment), min(b), max(b), min(x), max(d),
min(x, 2), max(x, 3), min(s, 2) FILTER (b), min(day, 2)[2], min(day, 1) FILTER (false),
max(day, 2), quantile_disc(x, 0.5), quantile_disc(d, [0.2, 0.4, 0.55, 1.0]),
quantile_disc(day, [0.25, 0.75]), quantile_disc(day, [0.5]) FILTER (false),
quantile_disc(s, [0, 0.99]), bool_and(b), bool_or(b), bool_or(b) FILTER (i > 99), sum(i // 1),
sum(x * 1000 - x * 1000), max_by(x, (day, x)), max_by(i, (b, i)), min_by(i, (b, day, i)),
max_by(s, (u, s)) FILTER (x > 0 OR b), max_by(x, x), min_by(d, (x, d)),
max_by(coalesce(b, false), (b IS NOT TRUE, moment)),
max_by(b IS TRUE, (NOT coalesce(b, false), i)), sum(d) / count(*), max(j) - min(j)
"""
"""Aggregates."""
WINDOWS = """
rank() OVER (PARTITION BY j ORDER BY x DESC), rank() OVER (ORDER BY x),
dense_rank() OVER (ORDER BY s, b DESC), sum(d) OVER (PARTITION BY j), sum(j) OVER (ORDER BY s),
count(*) OVER (PARTITION BY s ORDER BY i DESC NULLS FIRST), min(s) OVER (PARTITION BY j),
max(day) OVER ()
"""
"""Window functions."""


def parts_of(text: str) -> list[str]:
    """The parts of a list in SQL, which are separated by commas."""
    found, depth, quoted, part = [], 0, False, ""
    for sign in text.replace("\n", " "):
        quoted ^= sign == "'"
        depth += (sign in "([") - (sign in ")]") if not quoted else 0
        if sign == "," and not depth and not quoted:
            found.append(part.strip())
            part = ""
        else:
            part += sign
    return [*found, part.strip()]


def selected(parts: list[str]) -> str:
    """A list of columns with names."""
    return ",\n".join(f"{part} AS c{n}" for n, part in enumerate(parts))
