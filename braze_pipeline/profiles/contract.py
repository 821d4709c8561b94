"""Validation of the mapped rows, page by page, and what is refused as a table.

``__profiles_failures`` has one row for each value that is not sent, and one for each row that is
refused because of its identifier (without an attribute). Pages limit the memory: one page of rows
is a pandas frame at a time, while the next is read. The rules are in `rules`, the checks in
`schema`, and what happens to the rows in `profile_store`.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

from braze_pipeline.profiles.staging import (
    BASE,
    MAPPED,
    USER_ID,
    WHOLE_ROW,
    StagedColumn,
    unread_sql,
)
from braze_pipeline.storage.masking import mask_sql
from braze_pipeline.storage.sql_files import read_sql
from braze_pipeline.storage.sql_text import literal, quote
from braze_pipeline.storage.warehouse import arrow, registered, single_row

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future
    from datetime import date

    import duckdb
    import pyarrow as pa

    from braze_pipeline.settings import TemplateSettings

FAILURES: Final = "__profiles_failures"

DUPLICATE: Final = "user_id_duplicate"
"""The reason for rejecting all but one of the rows with one user identifier."""

PAGE: Final = 100_000
"""Rows that are validated at once, while the next are read."""

_FOUND: Final = "__profiles_found"


def find_failures(
    con: duckdb.DuckDBPyConnection,
    t: TemplateSettings,
    columns: tuple[StagedColumn, ...],
    as_of: date,
) -> None:
    """Make ``FAILURES``: for each refused value the code of the first rule that it breaks.

    ``BASE`` is dropped.

    Attributes that are in none of the user's recipient groups are not validated.

    Raises:
        ContractBroken: the rows as a whole do not fit the schema.
    """
    con.execute(
        f"CREATE OR REPLACE TEMP TABLE {_FOUND} "
        "(__rid BIGINT, number INTEGER, rank INTEGER, code VARCHAR, raw VARCHAR)"
    )
    for one in columns:
        if query := unread_sql(one):
            con.execute(
                f"INSERT INTO {_FOUND} SELECT rid, {one.number}, 0, code, raw "
                f"FROM ({query}) AS unread(rid, code, raw)"
            )
    con.execute(f"DROP TABLE {BASE}")
    _add_schema_failures(con, t, columns, as_of)
    _add_repeated_identifiers(con, columns)
    only_own_groups = ""
    if t.groups:
        in_group = _by_number(columns, lambda one: in_group_sql(t, one.attribute.name), "true")
        only_own_groups = (
            f"JOIN (SELECT __rid, __groups FROM {MAPPED}) AS b USING (__rid) WHERE {in_group}"
        )
    name = _by_number(columns, lambda one: literal(one.attribute.name), "NULL")
    required = _by_number(columns, lambda one: str(one.attribute.required), "true")
    query = read_sql(
        "profiles", "failures", failures=FAILURES, found=_FOUND, name=name, required=required,
        masked=mask_sql("raw"), only_own_groups=only_own_groups,
    )  # fmt: skip
    con.execute(query)
    con.execute(f"DROP TABLE {_FOUND}")


def _by_number(
    columns: tuple[StagedColumn, ...], expression: Callable[[StagedColumn], str], whole_row: str
) -> str:
    """An expression that depends on the attribute that ``number`` names."""
    cases = " ".join(f"WHEN {one.number} THEN {expression(one)}" for one in columns)
    return f"CASE number {cases} ELSE {whole_row} END" if cases else whole_row


def in_group_sql(t: TemplateSettings, name: str) -> str:
    """Whether an attribute is sent to the user of a row of ``MAPPED`` (alias ``b``)."""
    groups = ", ".join(literal(group.name) for group in t.groups if name in group.attributes)
    return f"coalesce(list_has_any(b.__groups, [{groups}]::VARCHAR[]), false)"


def _add_schema_failures(
    con: duckdb.DuckDBPyConnection,
    t: TemplateSettings,
    columns: tuple[StagedColumn, ...],
    as_of: date,
) -> None:
    from braze_pipeline.profiles.schema import build_schema, frame_of, refusals

    schema = build_schema(t, today=as_of)
    con.execute(
        "CREATE OR REPLACE TEMP TABLE __refused "
        "(__rid BIGINT, number INTEGER, rank INTEGER, code VARCHAR)"
    )
    names = ", ".join([USER_ID, *(quote(one.attribute.name) for one in columns)])
    (total,) = single_row(con, f"SELECT count(*) FROM {MAPPED}")

    def keep(refused: pa.Table | None) -> None:
        if refused is not None:
            with registered(con, "__page", refused):
                con.execute("INSERT INTO __refused SELECT * FROM __page")

    # One thread: whether pandera may validate in several at once is not documented.
    with ThreadPoolExecutor(1, "validation") as validation:
        before: Future[pa.Table | None] | None = None
        for start in range(0, total, PAGE):
            rows = arrow(
                con,
                f"SELECT {names} FROM {MAPPED} WHERE __rid >= {start} AND __rid < {start + PAGE} "
                "ORDER BY __rid",
            )
            if before is not None:
                keep(before.result())
            before = validation.submit(refusals, schema, frame_of(rows), columns, first=start)
        if before is not None:
            keep(before.result())
    shown = {WHOLE_ROW: USER_ID} | {one.number: quote(one.attribute.name) for one in columns}
    numbers = con.execute("SELECT DISTINCT number FROM __refused ORDER BY number").fetchall()
    for (number,) in numbers:
        con.execute(f"""
            INSERT INTO {_FOUND}
            SELECT r.__rid, r.number, r.rank, r.code, m.{shown[number]}::VARCHAR
            FROM __refused AS r JOIN {MAPPED} AS m USING (__rid)
            WHERE r.number = {int(number)}
        """)
    con.execute("DROP TABLE __refused")


def _add_repeated_identifiers(
    con: duckdb.DuckDBPyConnection, columns: tuple[StagedColumn, ...]
) -> None:
    """Of several rows with one user identifier the first is sent: by customer, then by the values.

    Braze would keep whichever object it processed last; this choice is the same in every run.
    """
    order = ", ".join(["__customer_id", *(quote(one.attribute.name) for one in columns)])
    query = read_sql(
        "profiles", "repeated_identifiers", found=_FOUND, mapped=MAPPED, whole_row=WHOLE_ROW,
        duplicate=literal(DUPLICATE), order=order,
    )  # fmt: skip
    con.execute(query)
