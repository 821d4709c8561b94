"""Validation of the mapped rows by pandera, page by page, and what it refuses as a table.

``__profiles_failures`` has one row for each value that does not leave, and one for each row that
is refused for its identifier (attribute number -1). Pages bound the memory: one page of rows is a
pandas frame at a time, never the table.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from braze_pipeline.errors import ContractBroken
from braze_pipeline.profiles.identifier import NO_IDENTIFIER
from braze_pipeline.profiles.schema import USER_ID
from braze_pipeline.profiles.staging import MAPPED, Staged
from braze_pipeline.storage.masking import mask_sql
from braze_pipeline.storage.warehouse import arrow, literal, quote, registered

if TYPE_CHECKING:
    import duckdb
    import pandas as pd
    import pyarrow as pa
    from pandera.errors import SchemaErrors
    from pandera.pandas import DataFrameSchema

    from braze_pipeline.settings import TemplateSettings

FAILURES: Final = "__profiles_failures"
ROW: Final = -1
"""The attribute number of a failure of the whole row."""

PAGE: Final = 50_000
"""Rows that are validated at once."""

_CODES: Final = {"not_nullable": "required_missing"}
_FOUND: Final = "__profiles_found"


def find_failures(
    con: duckdb.DuckDBPyConnection,
    t: TemplateSettings,
    columns: tuple[Staged, ...],
    schema: DataFrameSchema,
    *,
    page: int = PAGE,
) -> None:
    """Make ``FAILURES``: one code for each value that is refused, the first rule it breaks.

    Values of attributes that are in none of the user's recipient groups are not judged.
    """
    con.execute(
        f"CREATE OR REPLACE TEMP TABLE {_FOUND} "
        "(__rid BIGINT, number INTEGER, rank INTEGER, code VARCHAR, raw VARCHAR)"
    )
    _take_reading_problems(con, columns)
    _take_schema_failures(con, columns, schema, page=page)
    _take_identifier_problems(con, columns)
    con.execute(f"""
        CREATE OR REPLACE TEMP TABLE {FAILURES} AS
        SELECT __rid, number, found.code, {mask_sql("found.raw")} AS masked
        FROM (
            SELECT f.__rid, f.number,
                arg_min({{'code': f.code, 'raw': f.raw}}, (f.rank, f.code)) AS found
            FROM {_FOUND} AS f {_only_judged(t, columns)}
            GROUP BY f.__rid, f.number
        )
    """)
    con.execute(f"DROP TABLE {_FOUND}")


def _only_judged(t: TemplateSettings, columns: tuple[Staged, ...]) -> str:
    if not t.groups or not columns:
        return ""
    inside = " ".join(
        f"WHEN {one.number} THEN {in_group_sql(t, one.attribute.name)}" for one in columns
    )
    return f"JOIN {MAPPED} AS b USING (__rid) WHERE CASE f.number {inside} ELSE true END"


def in_group_sql(t: TemplateSettings, name: str) -> str:
    """Whether an attribute goes out to the user of a row of ``MAPPED`` (alias ``b``)."""
    groups = ", ".join(literal(group.name) for group in t.groups if name in group.attributes)
    return f"coalesce(list_has_any(b.__groups, [{groups}]::VARCHAR[]), false)"


def _take_reading_problems(con: duckdb.DuckDBPyConnection, columns: tuple[Staged, ...]) -> None:
    for one in columns:
        k = one.number
        con.execute(f"""
            INSERT INTO {_FOUND}
            SELECT __rid, {k}, 0, __e{k}, __r{k} FROM {MAPPED} WHERE __e{k} IS NOT NULL
        """)


def _take_schema_failures(
    con: duckdb.DuckDBPyConnection,
    columns: tuple[Staged, ...],
    schema: DataFrameSchema,
    *,
    page: int,
) -> None:
    con.execute(
        "CREATE OR REPLACE TEMP TABLE __refused "
        "(__rid BIGINT, number INTEGER, rank INTEGER, code VARCHAR)"
    )
    names = ", ".join([USER_ID, *(quote(one.attribute.name) for one in columns)])
    found = con.execute(f"SELECT count(*) FROM {MAPPED}").fetchone()
    for start in range(0, int(found[0]) if found else 0, page):
        rows = arrow(
            con,
            f"SELECT {names} FROM {MAPPED} WHERE __rid >= {start} AND __rid < {start + page} "
            "ORDER BY __rid",
        )
        refused = refusals(schema, frame_of(rows), columns, first=start)
        if refused is not None:
            with registered(con, "__page", refused):
                con.execute("INSERT INTO __refused SELECT * FROM __page")
    _show_refused(con, columns)
    con.execute("DROP TABLE __refused")


def _show_refused(con: duckdb.DuckDBPyConnection, columns: tuple[Staged, ...]) -> None:
    shown = {ROW: USER_ID} | {one.number: quote(one.attribute.name) for one in columns}
    found = con.execute("SELECT DISTINCT number FROM __refused ORDER BY number").fetchall()
    for (number,) in found:
        con.execute(f"""
            INSERT INTO {_FOUND}
            SELECT r.__rid, r.number, r.rank, r.code, m.{shown[number]}::VARCHAR
            FROM __refused AS r JOIN {MAPPED} AS m USING (__rid)
            WHERE r.number = {int(number)}
        """)


def frame_of(rows: pa.Table) -> pd.DataFrame:
    """A page of rows as a pandas frame that keeps Arrow's types and NULLs."""
    import pandas as pd

    return rows.to_pandas(types_mapper=pd.ArrowDtype)


def refusals(
    schema: DataFrameSchema, frame: pd.DataFrame, columns: tuple[Staged, ...], *, first: int
) -> pa.Table | None:
    """What the schema refuses of a page: row, attribute number, order and name of the check.

    Raises:
        ContractBroken: the frame as a whole does not fit the schema.
    """
    from pandera.errors import SchemaErrors

    try:
        schema.validate(frame, lazy=True)
    except SchemaErrors as errors:
        # Raised from nothing: the exception of pandera shows the values themselves.
        return _refused(errors, columns, first)
    return None


def _refused(errors: SchemaErrors, columns: tuple[Staged, ...], first: int) -> pa.Table:
    import pandas as pd
    import pyarrow as pa

    cases = errors.failure_cases
    lost = cases["index"].isna()
    if lost.any():
        where = sorted({f"{row.column}: {row.check}" for row in cases[lost].itertuples()})
        raise ContractBroken(
            f"The profiles do not fit their schema ({'; '.join(where)}).",
            fix="This is a fault of the mapping, not of the data; please report it.",
        ) from None
    numbers = {USER_ID: ROW} | {one.attribute.name: one.number for one in columns}
    codes = cases["check"].replace(_CODES)
    codes = codes.where(
        ~((cases["column"] == USER_ID) & (codes == "required_missing")), NO_IDENTIFIER
    )
    return pa.table(
        {
            "__rid": pa.array(cases["index"].astype("int64") + first, pa.int64()),
            "number": pa.array(cases["column"].map(numbers).astype("int64"), pa.int32()),
            "rank": pa.array(pd.Series(range(1, len(cases) + 1)), pa.int32()),
            "code": pa.array(codes.astype(str), pa.string()),
        }
    )


def _take_identifier_problems(con: duckdb.DuckDBPyConnection, columns: tuple[Staged, ...]) -> None:
    """Of rows with one user identifier the first stays: by customer, then by the values.

    Braze would take whichever object it processed last; this choice is the same in each run.
    """
    order = ", ".join(["__customer_id", *(quote(one.attribute.name) for one in columns)])
    con.execute(f"""
        INSERT INTO {_FOUND}
        SELECT __rid, {ROW}, 2147483647, 'user_id_duplicate', __user_id
        FROM (
            SELECT __rid, __user_id,
                row_number() OVER (PARTITION BY __user_id ORDER BY {order}, __rid) AS place
            FROM {MAPPED}
            WHERE __user_id IN (
                SELECT __user_id FROM {MAPPED}
                WHERE __user_id IS NOT NULL GROUP BY __user_id HAVING count(*) > 1
            )
        )
        WHERE place > 1
    """)
