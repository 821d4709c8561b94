"""The customer attributes table: one row per customer and as-of date, as the user's SQL defines it.

The SQL file is the user's; what is checked here is the contract with everything downstream: one
row per customer, and a customer_id in each.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from braze_pipeline.core.daytables import replace_day
from braze_pipeline.errors import ConfigurationError, ContractBroken

if TYPE_CHECKING:
    import duckdb

    from braze_pipeline.settings import TemplateSettings

TABLE = "customer_attributes"
_NEW = "__new_attributes"


@dataclass(frozen=True, kw_only=True)
class AttributesSummary:
    """What a build of one day made.

    Attributes:
        columns: Name and DuckDB type of each column of the user's SQL.
        lines: Order lines up to the end of the day.
        lines_without_customer: Of these, those that belong to nobody and were left out.
        lines_after: Order lines after the day, which were not used.
    """

    day: date
    rows: int
    columns: tuple[tuple[str, str], ...]
    lines: int
    lines_without_customer: int
    lines_after: int


def build_attributes(
    con: duckdb.DuckDBPyConnection, t: TemplateSettings, as_of: date
) -> AttributesSummary:
    """Run the template's SQL for a day, and replace that day in the table.

    The sources must be attached (``core.sources.attach_sources``).

    Raises:
        ConfigurationError: the SQL cannot be run, or gives no ``customer_id``; names the file.
        ContractBroken: a customer has two rows, or a row has no customer.
    """
    _run(con, t, as_of)
    columns = tuple(
        (str(row[0]), str(row[1])) for row in con.execute(f"DESCRIBE {_NEW}").fetchall()
    )
    _check_columns(t, columns)
    rows = _check_rows(con, t)
    replace_day(con, t, TABLE, as_of, f"SELECT * FROM {_NEW}")
    con.execute(f"DROP TABLE {_NEW}")
    lines, nobody, after = _lines(con, as_of)
    return AttributesSummary(
        day=as_of,
        rows=rows,
        columns=columns,
        lines=lines,
        lines_without_customer=nobody,
        lines_after=after,
    )


def _run(con: duckdb.DuckDBPyConnection, t: TemplateSettings, as_of: date) -> None:
    import duckdb

    sql = t.attributes_sql.read_text(encoding="utf-8").strip().rstrip(";")
    if "$as_of" not in sql:
        raise ConfigurationError(
            f"{t.attributes_sql} does not use $as_of, so that every day would be the same.",
            fix="Use only rows dated before `$as_of + INTERVAL 1 DAY`.",
        )
    try:
        con.execute(f"CREATE OR REPLACE TEMP TABLE {_NEW} AS\n{sql}", {"as_of": as_of})
    except duckdb.ConversionException as error:
        # Its text quotes the value, which may be a customer's.
        raise ConfigurationError(
            f"{t.attributes_sql}: a value could not be converted to the type the SQL asks for.",
            fix="Use TRY_CAST there, or leave the text to the mapping, which normalises it.",
        ) from error
    except (
        duckdb.ParserException,
        duckdb.BinderException,
        duckdb.CatalogException,
        duckdb.InvalidInputException,
    ) as error:
        raise ConfigurationError(
            f"{t.attributes_sql} cannot be run: {_shift_line(str(error))}",
            fix="Mend the SQL; it is DuckDB's dialect over the views customers, orders, consents "
            "and predictions.",
        ) from error


def _shift_line(text: str) -> str:
    """DuckDB counts our own first line too: ``LINE 3`` is line 2 of the file."""
    head, found, rest = text.partition("LINE ")
    number, colon, tail = rest.partition(":")
    if found and colon and number.isdigit():
        return f"{head}line {int(number) - 1}:{tail}"
    return text


def _check_columns(t: TemplateSettings, columns: tuple[tuple[str, str], ...]) -> None:
    names = {name for name, _ in columns}
    if t.customer_column not in names:
        raise ConfigurationError(
            f"{t.attributes_sql} gives no column {t.customer_column}.",
            fix=f"Select {t.customer_column} too: it says whose row it is.",
        )
    ours = sorted(name for name in names if name.startswith("__"))
    if ours:
        raise ConfigurationError(
            f"{t.attributes_sql} gives columns that begin with two underscores: {', '.join(ours)}.",
            fix="Name them otherwise: such names are the pipeline's own.",
        )


def _check_rows(con: duckdb.DuckDBPyConnection, t: TemplateSettings) -> int:
    row = con.execute(
        f"SELECT count(*), count(DISTINCT {t.customer_column}), "
        f"count(*) FILTER ({t.customer_column} IS NULL) FROM {_NEW}"
    ).fetchone()
    rows, distinct, missing = row or (0, 0, 0)
    if missing:
        raise ContractBroken(
            f"{t.attributes_sql} gives {missing:,} rows without {t.customer_column}.",
            fix="Leave them out with WHERE, or find out why the join made them.",
        )
    if rows != distinct:
        raise ContractBroken(
            f"{t.attributes_sql} gives {rows - distinct:,} rows too many: a customer has more than "
            "one.",
            fix="A join multiplies rows: group what you join by customer_id first.",
        )
    return int(rows)


def _lines(con: duckdb.DuckDBPyConnection, as_of: date) -> tuple[int, int, int]:
    row = con.execute(
        "SELECT count(*) FILTER (ordered_at < $day + INTERVAL 1 DAY), "
        "count(*) FILTER (customer_id IS NULL AND ordered_at < $day + INTERVAL 1 DAY), "
        "count(*) FILTER (ordered_at >= $day + INTERVAL 1 DAY) FROM orders",
        {"day": as_of},
    ).fetchone()
    return (int(row[0]), int(row[1]), int(row[2])) if row else (0, 0, 0)
