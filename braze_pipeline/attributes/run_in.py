"""The customer attributes of a day, computed in the brand's warehouse (``run_in``).

The brand's SQL runs there, in its dialect, and the rules of the audience are applied to its rows in
the same query. Only the audience's rows and the numbers of the others leave: they become an extract
of the run, like a table that is read from a database. Everything from profiles on is the same.

What belongs here: that query, and taking its rows over. What differs between dialects is in
`sources.dialects`, the rules are in `audience.rules`, and connections in `sources.remote`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from braze_pipeline.attributes import current_state
from braze_pipeline.attributes.result import (
    AttributesBuild,
    AttributesSummary,
    require_ids,
    require_names,
)
from braze_pipeline.audience.build import check_columns
from braze_pipeline.audience.elsewhere import (
    GROUPS,
    CountedElsewhere,
    replace_counts,
    rules_of,
)
from braze_pipeline.audience.rules import (
    EXCLUDED_BY,
    conditions_of,
    group_column,
    groups_of_row,
    judged,
    rule_names,
)
from braze_pipeline.errors import AccountingError
from braze_pipeline.predicted_value.stored_fits import drop_unused
from braze_pipeline.profiles import identifier
from braze_pipeline.settings import CUSTOMER, SourceSettings
from braze_pipeline.settings.places import Connection, Database
from braze_pipeline.sources import SourceInfo, user_sql
from braze_pipeline.sources.dialects import condition_in, dialect_of, query_for, zone_statement
from braze_pipeline.sources.remote import databases, parquet
from braze_pipeline.sources.remote.extract import extracted
from braze_pipeline.sources.typed_tables import contract_of
from braze_pipeline.storage.partitions import replace_partition
from braze_pipeline.storage.sql_files import read_sql
from braze_pipeline.storage.sql_text import file_literal, literal, name_key, quote
from braze_pipeline.storage.warehouse import Warehouse, columns, named_rows, prepare, single_row
from braze_pipeline.user_input import read_text

if TYPE_CHECKING:
    import duckdb

    from braze_pipeline.settings import TemplateSettings

TABLE: Final = "customer_attributes"
MEMBER: Final = "__member"
"""NULL in the row that has the counts where nobody is in the audience."""
_COUNTS: Final = ("__customers", "__with_id", "__distinct", "__members")
_UNKNOWN: Final = (0, None)
_NEWEST: Final = "newest-dates"
"""The extract with rows and newest date of each declared source."""


def build_in_warehouse(
    warehouse: Warehouse,
    t: TemplateSettings,
    days: Sequence[date],
    *,
    now: datetime | None,
    run_id: str,
    environ: Mapping[str, str],
    log: Callable[[str], None],
) -> AttributesBuild:
    """Compute the days in the warehouse, and replace them in the table; see ``build_attributes``.

    Raises:
        ConfigurationError: the SQL or a condition is not what it has to be, or cannot be run there;
            a column is missing or of the wrong type. Names the file, and the line where the
            database gives it.
        SourceError: a relation is missing or not granted, the credential is wrong, or the
            connection was lost.
        MissingRequiredField, ContractBroken: see ``build_attributes``.
        AccountingError: the rows that arrived are not what the warehouse counted.
    """
    clock = now or datetime.now(UTC)
    places = [_day_source(t, day, clock) for day in days]
    declared = [source for source in t.sources if source.place is not None]
    places += _declared_sources(declared, t, clock)
    with (
        extracted(
            places,
            warehouse.extracts / t.db_schema / run_id,
            environ=environ,
            log=log,
            first=partial(_try, t, days[-1]),
        ) as (local, extracts),
        warehouse.connect() as con,
    ):
        files = {source.name: source.path for source in local if source.path is not None}
        newest = _newest(con, files.get(_NEWEST))
        summaries = [
            _take_over(con, t, day, files[day.isoformat()], newest, now=now) for day in days
        ]
        sources = tuple(_info(con, source, files, newest) for source in declared)
        drop_unused(con, t)
    return AttributesBuild(sources, summaries, extracts)


def _composed(t: TemplateSettings, query: str, part: str = "") -> Database:
    """The one query of a day: the audience's rows, each with the counts of all customers.

    There is always one row, so that the counts arrive where nobody is in the audience. The brand's
    SQL begins on the first line, so that the database's line numbers are those of the file.
    """
    dialect = dialect_of(t.run_in)
    excluded = "".join(
        f", count(CASE WHEN {EXCLUDED_BY} = {literal(rule)} THEN 1 END) AS {_excluded_column(k)}"
        for k, rule in enumerate(rule_names(t))
    )
    text = read_sql(
        "attributes",
        "run_in",
        attributes="" if dialect.repeats else f"__attributes AS ({query}\n),\n",
        judged=judged(t, "__attributes", dialect, lambda where, _: condition_in(dialect, where)),
        customer=CUSTOMER,
        text=dialect.text,
        excluded=excluded,
        excluded_by=EXCLUDED_BY,
        member=MEMBER,
    )
    return place_of(t, text, part, base=query if dialect.repeats else None)


def _excluded_column(number: int) -> str:
    return f"__excluded_{number}"


def _connection(t: TemplateSettings) -> Connection:
    if t.run_in is None:  # only a caller's mistake leads here
        raise ValueError("the template has no `run_in`")
    return t.run_in


def query_of(t: TemplateSettings, day: date) -> tuple[str, bool]:
    """The brand's query for a day, and whether it uses ``$as_of``; raises as ``query_for``."""
    text = read_text(t.attributes_sql)
    return query_for(t.attributes_sql, text, dialect_of(t.run_in), day)


def place_of(t: TemplateSettings, query: str, part: str = "", base: str | None = None) -> Database:
    """A query in the place where the template's SQL runs; ``part`` and ``base`` as in it."""
    connection = _connection(t)
    return Database(
        connection=connection,
        query=query,
        base=base,
        setup=zone_statement(dialect_of(connection), t.time_zone),
        file=t.attributes_sql,
        part=part,
    )


def _day_source(t: TemplateSettings, day: date, now: datetime) -> SourceSettings:
    query, dated = query_of(t, day)
    if not dated:
        current_state.require_newest(t, day, now)
    return SourceSettings(name=day.isoformat(), place=_composed(t, query))


def _try(t: TemplateSettings, day: date, snapshot: databases.Snapshot) -> None:
    """Have the database parse the SQL and then each condition, before it computes anything."""
    query, _ = query_of(t, day)
    schema = snapshot.schema(TABLE, place_of(t, query))
    user_sql.check_names(t.attributes_sql, schema.names)
    require_names(t, schema.names)
    _check_types(t, schema)
    dialect = dialect_of(t.run_in)
    for of, where in conditions_of(t).items():
        tried = f"CAST({condition_in(dialect, where)} AS BOOLEAN)"
        one = f"SELECT {tried} AS a FROM ({query}\n) AS a"
        snapshot.schema(TABLE, place_of(t, one, f"the condition of the {of}"))
    # Names that were written in quotes, in another case, are found here too.
    snapshot.schema(TABLE, _composed(t, query, "the rules of the audience"))


def _check_types(t: TemplateSettings, schema: Any) -> None:  # noqa: ANN401 - Arrow is optional here
    import duckdb

    with duckdb.connect() as con:
        prepare(con)
        con.register("__nothing", parquet.empty(TABLE, place_of(t, ""), schema))
        identifier.require_exact(t, dict(columns(con, "FROM __nothing")))
        check_columns(con, t, "FROM __nothing", empty=True)


def _take_over(
    con: duckdb.DuckDBPyConnection,
    t: TemplateSettings,
    day: date,
    file: Path,
    newest: Mapping[str, tuple[int, date | None]],
    *,
    now: datetime | None,
) -> AttributesSummary:
    """Replace a day of the table with the audience's rows of an extract, and keep the counts."""
    rows = f"read_parquet({file_literal(file)})"
    rules = rule_names(t)
    excluded_columns = [_excluded_column(k) for k in range(len(rules))]
    ours = [*_COUNTS, *excluded_columns, EXCLUDED_BY, MEMBER]
    ours += [group_column(k) for k in range(len(t.groups))]
    described = tuple(
        (name, type_) for name, type_ in columns(con, f"FROM {rows}") if name_key(name) not in ours
    )
    names = [name for name, _ in described]
    require_names(t, names)
    filled = ", ".join(f"count({quote(name)}) FILTER ({MEMBER} IS NOT NULL)" for name in names)
    counts = ", ".join(f"any_value({name})" for name in (*_COUNTS, *excluded_columns))
    members, customers, with_id, distinct, counted, *others = single_row(
        con, f"SELECT count({MEMBER}), {counts}, {filled} FROM {rows}"
    )
    require_ids(t, rows=customers, with_id=with_id, distinct=distinct)
    excluded = dict(zip(rules, others[: len(rules)], strict=True))
    if counted != members or customers != members + sum(excluded.values()):
        raise AccountingError(
            f"The warehouse counted {customers:,} customers of {day}, {counted:,} of them in the "
            f"audience, but {members:,} rows arrived and {sum(excluded.values()):,} were excluded.",
            fix="Make the SQL deterministic: the database evaluated it more than once, with "
            "different results.",
        )
    selected = ", ".join(
        f"{CUSTOMER}::VARCHAR AS {quote(name)}" if name_key(name) == CUSTOMER else quote(name)
        for name in names
    )
    query = f"SELECT {selected}{_groups(t)} FROM {rows} WHERE {MEMBER} IS NOT NULL"
    counted = CountedElsewhere(customers=customers, excluded=excluded, rules=rules_of(t))
    replace_partition(
        con, t, TABLE, day, query, now=now, then=lambda _: replace_counts(con, t, day, counted)
    )
    return AttributesSummary(
        day=day,
        rows=members,
        columns=described,
        nulls={
            name: members - count for name, count in zip(names, others[len(rules) :], strict=True)
        },
        newest_order=newest.get("orders", _UNKNOWN)[1],
        newest_consent=newest.get("consents", _UNKNOWN)[1],
    )


def _groups(t: TemplateSettings) -> str:
    """A campaign's groups of a row, as the audience needs them."""
    return f", {groups_of_row(t)} AS {GROUPS}" if t.kind == "campaign" else ""


def _declared_sources(
    sources: Iterable[SourceSettings], t: TemplateSettings, now: datetime
) -> list[SourceSettings]:
    """The columns of each declared source, without its rows; and rows and newest date of all."""
    found, counts = [], []
    dialect = dialect_of(t.run_in)
    # Local midnight is at most fourteen hours away from midnight in UTC.
    tomorrow = f"DATE '{now.date() + timedelta(days=2)}'"
    for source in sources:
        place = source.place
        if not isinstance(place, Database):
            continue
        rows = f"({place.sql}) AS s"
        empty = Database(connection=place.connection, query=f"SELECT * FROM {rows} LIMIT 0")
        found.append(SourceSettings(name=source.name, place=empty))
        dated_by = contract_of(source.name).dated_by
        # A date in the future is a typing error, and does not make the table fresh.
        column = source.columns.get(dated_by or "", dated_by)
        date_ = f"max(CASE WHEN {column} < {tomorrow} THEN {column} END)" if column else "NULL"
        counts.append(
            f"SELECT {literal(source.name)} AS name, count(*) AS n, "
            f"CAST({date_} AS DATE) AS newest FROM {rows}"
        )
    if counts:
        place = Database(
            connection=_connection(t),
            query=" UNION ALL ".join(counts),
            setup=zone_statement(dialect, t.time_zone),
        )
        found.append(SourceSettings(name=_NEWEST, place=place))
    return found


def _newest(
    con: duckdb.DuckDBPyConnection, file: Path | None
) -> dict[str, tuple[int, date | None]]:
    """Rows and newest date by source."""
    if file is None:
        return {}
    rows = named_rows(con, f"SELECT name, n, newest FROM read_parquet({file_literal(file)})")
    return {row["name"]: (row["n"], row["newest"]) for row in rows}


def _info(
    con: duckdb.DuckDBPyConnection,
    source: SourceSettings,
    files: Mapping[str, Path],
    newest: Mapping[str, tuple[int, date | None]],
) -> SourceInfo:
    rows, latest = newest[source.name]
    return SourceInfo(
        name=source.name,
        location=str(source.place),
        rows=rows,
        columns=columns(con, f"FROM read_parquet({file_literal(files[source.name])})"),
        newest=latest.isoformat() if latest else None,
    )
