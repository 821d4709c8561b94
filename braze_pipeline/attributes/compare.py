"""The same day by DuckDB's SQL and by that of ``run_in``, compared value by value.

Both read the same rows: those of a sample of customers, chosen where the tables are by a hash of
the customer id. Attributes that depend on other customers (a rank, a fifth) are then computed among
the sample, on both sides.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Final

from braze_pipeline.attributes import sent
from braze_pipeline.attributes.build import compute, result_of
from braze_pipeline.attributes.run_in import place_of, query_of
from braze_pipeline.errors import ConfigurationError
from braze_pipeline.settings import CUSTOMER, SourceSettings, replace
from braze_pipeline.settings.places import Database
from braze_pipeline.sources import attach_built, sealed
from braze_pipeline.sources.dialects import dialect_of, qualified_tables
from braze_pipeline.sources.remote.databases import Snapshot
from braze_pipeline.sources.remote.extract import extracted
from braze_pipeline.sources.remote.snapshots import snapshot
from braze_pipeline.storage.masking import mask_sql
from braze_pipeline.storage.sql_files import read_sql
from braze_pipeline.storage.sql_text import family, file_literal, literal, name_key, quote
from braze_pipeline.storage.warehouse import columns, single_row
from braze_pipeline.user_input import read_text

if TYPE_CHECKING:
    from pathlib import Path

    import duckdb

    from braze_pipeline.settings import TemplateSettings
    from braze_pipeline.storage.warehouse import Warehouse

_THERE: Final = "to-compare"
_ALL: Final = 100.0
_HASHES: Final = 16**4
"""How many values the part of the hash has that decides."""
_NEARLY: Final = 1e-9
_NUMBERS: Final = frozenset({"integer", "decimal", "double"})
_TIMES: Final = frozenset({"date", "timestamp", "instant"})


@dataclass(frozen=True, kw_only=True)
class Difference:
    """A column whose values are not the same, or are not sent alike because of their types.

    Attributes:
        column: Its name.
        types: What it is here and there; None where it is missing.
        customers: How many have another value.
        nearly: Of these, how many differ by less than a billionth: in the last digits.
        shapes: The shape of a value here and there, of one of these customers.
    """

    column: str
    types: tuple[str | None, str | None]
    customers: int
    nearly: int = 0
    shapes: tuple[str | None, str | None] = (None, None)


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """What two results have in common.

    Attributes:
        customers: In both.
        only_here: Customers that only DuckDB's SQL gives.
        only_there: Customers that only the other gives.
        columns: How many were compared.
        differences: The columns that differ.
    """

    customers: int
    only_here: int
    only_there: int
    columns: int
    differences: tuple[Difference, ...]

    @property
    def equal(self) -> bool:
        """Whether there is no difference at all."""
        return not (self.only_here or self.only_there or self.differences)


def compare(
    warehouse: Warehouse,
    t: TemplateSettings,
    file: Path,
    day: date,
    *,
    percent: float,
    environ: Mapping[str, str],
    log: Callable[[str], None],
) -> Comparison:
    """Compute a day in both places, and compare.

    Args:
        warehouse: Where the files of the comparison go; a temporary one.
        t: A template with ``run_in``.
        file: DuckDB's SQL.
        day: The as-of date.
        percent: How many of the customers.
        environ: The environment, with the addresses of the connections.
        log: Called with lines about the progress.

    Raises:
        ConfigurationError: there is no ``run_in``, a table that DuckDB's SQL reads is not declared,
            or a sample cannot be taken.
        SourceError: see ``remote.extract``.
    """
    if t.run_in is None:
        raise ConfigurationError(
            f"The template {t.name!r} has no `run_in`: its SQL runs in one place only.",
            fix="Remove --compare.",
        )
    declared = [(s, s.place) for s in t.sources if isinstance(s.place, Database)]
    if percent < _ALL:
        _require_bare_names(t, [place for _, place in declared])
    with snapshot(t.run_in, environ) as opened:
        read = [_sampled(t, source, place, opened, percent) for source, place in declared]
    there = SourceSettings(name=_THERE, place=_there(t, day, read, percent))
    here = replace(t, attributes_sql=file, run_in=None, sources=tuple(read))
    folder = warehouse.extracts / t.db_schema / "compare"
    with (
        warehouse.scratch() as scratch,
        extracted([*read, there], folder, environ=environ, log=log) as (local, done),
    ):
        with sealed(local[:-1], time_zone=t.time_zone, scratch=scratch) as (con, _):
            compute(con, here, day, result_of(day))
        with warehouse.connect() as con:
            attach_built(con, scratch)
            there_ = f"read_parquet({file_literal(folder / done[_THERE].file)})"
            return _compared(con, t, result_of(day), there_)


def _require_bare_names(t: TemplateSettings, places: Iterable[Database]) -> None:
    named = [
        *qualified_tables(read_text(t.attributes_sql), dialect_of(t.run_in)),
        *("what is declared with `query`" for place in places if place.query),
    ]
    if named:
        raise ConfigurationError(
            f"{t.attributes_sql} reads {named[0]}, and a sample can only stand for a table that "
            "has no schema in its name and is declared by that name (`relation`).",
            fix="Compare all customers (--percent 100), or make the schema the default of the "
            "connection and leave it out.",
        )


def _sampled(
    t: TemplateSettings, source: SourceSettings, place: Database, opened: Snapshot, percent: float
) -> SourceSettings:
    """A source with the rows of the sample; one without a customer as it is."""
    dialect = dialect_of(t.run_in)
    column = source.columns.get(CUSTOMER, CUSTOMER)
    query = place.sql
    names = {name_key(name) for name in opened.schema(source.name, place).names}
    if percent < _ALL and name_key(column) in names:
        hashed = dialect.md5.format(f"trim(CAST({column} AS {dialect.text}))")
        below = f"'{min(round(_HASHES * percent / _ALL), _HASHES - 1):04x}'"
        query = f"SELECT * FROM ({query}\n) AS s WHERE substr({hashed}, 1, 4) < {below}"
    return replace(source, place=replace(place, relation=None, query=query))


def _there(
    t: TemplateSettings, day: date, read: Iterable[SourceSettings], percent: float
) -> Database:
    """The brand's query, over the rows of the sample in place of the tables."""
    query, _ = query_of(t, day)
    if percent >= _ALL:
        return place_of(t, query)
    tables = ", ".join(
        f"{str(source.relation).rpartition('.')[2]} AS ({source.place.sql})"
        for source in read
        if isinstance(source.place, Database)
    )
    return place_of(t, f"WITH {tables} SELECT * FROM ({query}\n) AS a")


def _compared(
    con: duckdb.DuckDBPyConnection, t: TemplateSettings, here: str, there: str
) -> Comparison:
    ours = columns(con, here)
    theirs = {name_key(name): (name, type_) for name, type_ in columns(con, f"FROM {there}")}
    shared = [
        (name, type_, *theirs[name_key(name)]) for name, type_ in ours if name_key(name) in theirs
    ]
    sides = sent.side(t, dict(ours)), sent.side(t, dict(theirs.values()))
    sent.add_reader(con)
    query = read_sql(
        "attributes",
        "compare",
        here=sent.staged(t, here, sides[0]),
        there=sent.staged(t, there, sides[1]),
        customer=CUSTOMER,
        columns="".join(_counts(t, sides, *column) for column in shared),
    )
    both, only_here, only_there, *found = single_row(con, query)
    differences = [
        Difference(
            column=name,
            types=(type_, other),
            customers=found[3 * k],
            nearly=found[3 * k + 1],
            shapes=(found[3 * k + 2]["h"], found[3 * k + 2]["t"]),
        )
        for k, (name, type_, _, other) in enumerate(shared)
        if found[3 * k]
    ]
    known = {name_key(name) for name, _ in ours}
    differences += [
        Difference(column=name, types=(type_, None), customers=both)
        for name, type_ in ours
        if name_key(name) not in theirs
    ]
    differences += [
        Difference(column=name, types=(None, type_), customers=both)
        for key, (name, type_) in theirs.items()
        if key not in known
    ]
    return Comparison(
        customers=both,
        only_here=only_here,
        only_there=only_there,
        columns=len(ours),
        differences=tuple(differences),
    )


def _counts(
    t: TemplateSettings,
    sides: tuple[sent.Side, sent.Side],
    name: str,
    type_: str,
    there: str,
    other: str,
) -> str:
    """How many customers have another value, how many of them nearly the same, and one's shapes."""
    ours, theirs = f"h.{quote(name)}", f"t.{quote(there)}"
    shapes = f"{{'h': {mask_sql(ours)}, 't': {mask_sql(theirs)}}}"
    used = sent.differ(t, name, *sides)
    nearly = "false"
    families = {family(type_), family(other)}
    if "instant" in families and len(families & _TIMES) > 1:
        ours, type_ = _local(t, ours, type_)
        theirs, other = _local(t, theirs, other)
    if families <= _NUMBERS:
        h, t_ = f"{ours}::DOUBLE", f"{theirs}::DOUBLE"
        nearly = f"abs({h} - {t_}) <= {_NEARLY} * abs({h})"
        values = f"{h} IS DISTINCT FROM {t_}"
    else:
        cast = f"TRY_CAST({theirs} AS {type_})"
        values = f"({cast} IS DISTINCT FROM {ours} OR ({ours} IS NULL) <> ({theirs} IS NULL))"
        # There and back: 3.4 may become the INTEGER 3, but no INTEGER becomes 3.4.
        used = used or [f"TRY_CAST({ours} AS {other}) IS DISTINCT FROM {theirs}"]
    if name_key(name) in sent.read_as_text(t):
        used = [*used, f"{ours}::VARCHAR IS DISTINCT FROM {theirs}::VARCHAR"]
    differ = f"CASE WHEN {values} THEN true ELSE {' OR '.join(used) or 'false'} END"
    of_both = f"h.{CUSTOMER} IS NOT NULL AND t.{CUSTOMER} IS NOT NULL AND {differ}"
    return (
        f", count(*) FILTER ({of_both}), count(*) FILTER ({of_both} AND {values} AND {nearly}), "
        f"min_by({shapes}, __customer) FILTER ({of_both})"
    )


def _local(t: TemplateSettings, column: str, type_: str) -> tuple[str, str]:
    """A time with a zone as profiles read one without: in the brand's time zone."""
    if family(type_) != "instant":
        return column, type_
    return f"timezone({literal(t.time_zone)}, {column})", "TIMESTAMP"
