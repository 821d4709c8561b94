"""A condition of the configuration is one expression over a row, or is refused."""

from __future__ import annotations

import pytest

from braze_pipeline.errors import ConfigurationError
from braze_pipeline.sources.reach import condition


@pytest.mark.parametrize(
    "where",
    [
        "lifetime_value >= 100 -- the best",
        "country IN ('GB', 'IE') AND name LIKE '%;%)'",
        "/* all */ coalesce(a, false) OR NOT b",
        "len(list_filter(l, lambda x: x > 1)) > 0",
        "a BETWEEN 1 AND 2 OR (b AND c)",
    ],
)
def test_a_condition_may_be_any_expression_over_the_columns(where: str) -> None:
    assert condition(where) == f"({where}\n)"


@pytest.mark.parametrize(
    "where",
    [
        "",
        "-- nothing",
        "a >",
        "a; SELECT 1",
        "true); COPY (SELECT 1) TO '/tmp/written.csv'; SELECT (true",
        "true); --",
        "true) FROM read_text('/etc/passwd') WHERE (true",
        "true) UNION SELECT (true",
        "true) OR (true",
        "a, b",
        "a) , (b",
        "a AS b",
        "a ORDER BY b",
        "a GROUP BY b",
        "a LIMIT 1",
        "a WINDOW w AS ()",
        "EXISTS (FROM ledger.values)",
        "a > (SELECT max(a) FROM read_csv('/etc/passwd'))",
        "a IN (FROM other_brand.customer_attributes)",
        "getenv('HOME') = ''",
        "current_setting('threads') > 1",
        "$as_of > a",
        "a > ?",
        "*",
        "a /*",
        "a '",
    ],
)
def test_a_condition_that_is_anything_else_is_refused(where: str) -> None:
    with pytest.raises(ConfigurationError, match="not one SQL condition") as caught:
        condition(where)
    assert "serialized to json" not in str(caught.value)
    assert "lifetime_value >= 100" in caught.value.fix
