"""The rows of the day's audience that are read, mapped to Braze's types in temporary tables.

``__profiles_base`` has the values that SQL alone can determine, and the raw text of the rest;
``__profiles_mapped`` has them with the values that the readers made of that text. The rows of both
are numbered in the same way (``__rid``, from 0, without gaps), so that a page of them is a range.
The expressions of one attribute are in `columns`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from braze_pipeline.braze.fields import sendable
from braze_pipeline.profiles import cache, identifier
from braze_pipeline.profiles.columns import ColumnMapping, Source, map_column, text
from braze_pipeline.profiles.normalise import READERS
from braze_pipeline.profiles.normalise.contact import INTERNATIONAL
from braze_pipeline.profiles.normalise.places import NO_COUNTRY
from braze_pipeline.settings import CUSTOMER, ValueType, replace
from braze_pipeline.sources.user_sql import require_columns
from braze_pipeline.storage import warehouse
from braze_pipeline.storage.sql_files import read_sql
from braze_pipeline.storage.sql_text import literal, name_key, quote

if TYPE_CHECKING:
    from datetime import date

    import duckdb

    from braze_pipeline.settings import AttributeSettings, TemplateSettings

BASE: Final = "__profiles_base"
MAPPED: Final = "__profiles_mapped"
DIFFERENT: Final = "__profiles_different"
"""The customers whose outcome of an earlier day does not stand (``customer_id``), and whether they
are still in the audience (``here``), so that their rows must be read; `unchanged` finds them."""
USER_ID: Final = "__user_id"
"""The column of the user identifier in these tables."""
WHOLE_ROW: Final = -1
"""Stands for the number of an attribute where a whole row is meant."""


@dataclass(frozen=True, kw_only=True)
class StagedColumn:
    """An attribute with its mapping and its number in the temporary tables.

    Attributes:
        number: The number in the names of its columns in ``BASE``: ``v`` the value from SQL, ``e``
            the code of what is wrong, where that depends on SQL alone, ``r`` the raw text that is
            wrong or still to be read, ``h`` the country of a phone as text.
        attribute: The attribute, with its column spelled as the table has it.
        mapping: Its SQL.
        region: For a phone: the text of the country, over a row of the customer attributes.
        default_region: For a phone: the country of customers without one.
    """

    number: int
    attribute: AttributeSettings
    mapping: ColumnMapping
    region: str | None = None
    default_region: str = ""

    @property
    def joins(self) -> str:
        """What ``params`` needs besides ``BASE`` (alias ``b``): a phone's cached country."""
        if self.mapping.params is not None:
            return ""
        k = self.number
        return f"LEFT JOIN {_known('country')} AS g{k} ON g{k}.params = '' AND g{k}.raw = b.h{k}"

    @property
    def params(self) -> str:
        """What the reader depends on, as SQL over ``BASE`` and ``joins``."""
        if self.mapping.params is not None:
            return literal(self.mapping.params)
        k = self.number
        national = f"NOT regexp_matches(b.r{k}, {literal(INTERNATIONAL)})"
        # A country that cannot be read is not the default one: the number would be a stranger's.
        none = f"b.h{k} IS NULL OR regexp_full_match(b.h{k}, {literal(NO_COUNTRY)})"
        default = f"CASE WHEN {none} THEN {literal(self.default_region)} ELSE '' END"
        region = f"coalesce(g{k}.value, {default})"
        return f"CASE WHEN {national} THEN {region} ELSE '' END"


def _known(kind: str) -> str:
    """The cache's entries of a kind, as a subquery."""
    return f"(SELECT params, raw, value, problem FROM {cache.TABLE} WHERE kind = {literal(kind)})"


def source_types(con: duckdb.DuckDBPyConnection, t: TemplateSettings) -> dict[str, str]:
    """The columns of the customer attributes table and their DuckDB types."""
    return dict(warehouse.columns(con, t.table("customer_attributes")))


def columns_read(t: TemplateSettings) -> dict[str, str]:
    """The columns that a template reads, without those of its audience; each with what reads it."""
    found = {CUSTOMER: "the pipeline", t.identifier_column: "the user identifier"}
    for attribute in t.attributes:
        found[attribute.column] = f"the attribute {attribute.name!r}"
        if attribute.region_column:
            found[attribute.region_column] = f"the attribute {attribute.name!r}"
    return found


def plan_columns(t: TemplateSettings, types: dict[str, str]) -> tuple[StagedColumn, ...]:
    """How each attribute that may be sent is mapped.

    Raises:
        MissingRequiredField: see ``identifier.require_column``.
        ContractBroken: see ``identifier.require_exact``.
        ConfigurationError: the customer attributes table lacks a column of the template.
    """
    identifier.require_column(t, types)
    identifier.require_exact(t, types)
    require_columns(t, types, columns_read(t))
    known = {name_key(name): (name, type_) for name, type_ in types.items()}
    staged = []
    for number, attribute in enumerate(sendable(t)):
        column, type_ = known[name_key(attribute.column)]
        there = replace(attribute, column=column)
        region = None
        if attribute.region_column:
            region_column, region_type = known[name_key(attribute.region_column)]
            region = text(quote(region_column), region_type)
        staged.append(
            StagedColumn(
                number=number,
                attribute=there,
                mapping=map_column(
                    Source(attribute=there, type=type_, number=number, zone=t.time_zone)
                ),
                region=region,
                default_region=t.default_region or "",
            )
        )
    return tuple(staged)


def stage(
    con: duckdb.DuckDBPyConnection,
    t: TemplateSettings,
    columns: tuple[StagedColumn, ...],
    as_of: date,
    *,
    since: date | None,
) -> None:
    """Make ``BASE``: one row for each row of the day's audience that must be read.

    With ``since``, the earlier day of `unchanged`, these are the rows in ``DIFFERENT``; without,
    all.
    """
    must = f"customer_id IN (SELECT customer_id FROM {DIFFERENT} WHERE here)" if since else "true"
    texts = [f"{c.mapping.text} AS __t{c.number}" for c in columns if c.mapping.text]
    values = [f"({c.mapping.value})::{c.attribute.type.duckdb} AS __v{c.number}" for c in columns]
    values += [
        f"({c.mapping.problem})::VARCHAR AS __e{c.number}" for c in columns if c.mapping.problem
    ]
    staged = [part for c in columns for part in _staged(c)]
    query = read_sql(
        "profiles",
        "audience_rows",
        base=BASE,
        identifier=quote(t.identifier_column),
        customer=CUSTOMER,
        staged=", ".join(["__groups", *staged]),
        values=", ".join(["*", *values]),
        texts=", ".join(["__attributes.*", "__audience.__groups", *texts]),
        attributes=t.table("customer_attributes"),
        audience=t.table("audience"),
        must=must,
    )
    con.execute(query, {"day": as_of})


def _staged(one: StagedColumn) -> list[str]:
    k = one.number
    columns = [f"__v{k} AS v{k}"]
    if one.mapping.kind is not None:
        columns.append(f"CASE WHEN __v{k} IS NULL THEN __t{k} END AS r{k}")
    elif one.mapping.problem:
        raw = f"CASE WHEN __e{k} IS NOT NULL THEN {quote(one.attribute.column)}::VARCHAR END"
        columns += [f"__e{k} AS e{k}", f"{raw} AS r{k}"]
    if one.mapping.params is None:
        columns.append(f"{one.region or 'NULL::VARCHAR'} AS h{k}")
    return columns


def read_raw(con: duckdb.DuckDBPyConnection, columns: tuple[StagedColumn, ...], today: date) -> int:
    """Have the readers read the raw values that are not in the cache; returns how many."""
    new = 0
    for one in columns:
        if one.mapping.params is None:
            pairs = f"SELECT '' AS params, b.h{one.number} AS raw FROM {BASE} AS b"
            short = f"length(b.h{one.number}) <= {READERS['country'].longest}"
            new += cache.read_new(con, kind="country", pairs=f"{pairs} WHERE {short}", today=today)
    kinds = {one.mapping.kind for one in columns if one.mapping.kind is not None}
    for kind in sorted(kinds):
        pairs = " UNION ALL ".join(_pairs(one) for one in columns if one.mapping.kind == kind)
        new += cache.read_new(con, kind=kind, pairs=pairs, today=today)
    return new


def _pairs(one: StagedColumn) -> str:
    k = one.number
    return (
        f"SELECT {one.params} AS params, b.r{k} AS raw FROM {BASE} AS b {one.joins} "
        f"WHERE length(b.r{k}) <= {READERS[str(one.mapping.kind)].longest}"
    )


def map_rows(con: duckdb.DuckDBPyConnection, columns: tuple[StagedColumn, ...]) -> None:
    """Make ``MAPPED`` from ``BASE``.

    It has the canonical values under their Braze names, and for each value that a reader could not
    read the code of what is wrong (``__e``).
    """
    chosen = ["__rid", "__user_id", "__customer_id", "__groups"]
    for one in columns:
        k = one.number
        chosen.append(f"{_mapped_value(one)} AS {quote(one.attribute.name)}")
        if one.mapping.kind is not None:
            too_long = literal(READERS[one.mapping.kind].too_long)
            chosen.append(
                f"CASE WHEN b.r{k} IS NOT NULL AND n{k}.value IS NULL "
                f"THEN coalesce(n{k}.problem, {too_long}) END AS __e{k}"
            )
    joins = " ".join(_join(one) for one in columns if one.mapping.kind is not None)
    # The row ids of a table that one statement made count from 0 without gaps, and cost nothing.
    con.execute(
        f"CREATE OR REPLACE TEMP TABLE {MAPPED} AS SELECT {', '.join(chosen)} "
        f"FROM (SELECT rowid AS __rid, * FROM {BASE}) AS b {joins}"
    )


def unread_sql(one: StagedColumn) -> str | None:
    """The values of an attribute that could not be read: row, code and raw text; if there are any.

    Over ``BASE`` and ``MAPPED``.
    """
    k = one.number
    if one.mapping.kind is not None:
        return (
            f"SELECT m.__rid, m.__e{k}, b.r{k} FROM {MAPPED} AS m JOIN {BASE} AS b "
            f"ON b.rowid = m.__rid WHERE m.__e{k} IS NOT NULL"
        )
    if one.mapping.problem:
        return f"SELECT rowid, e{k}, r{k} FROM {BASE} WHERE e{k} IS NOT NULL"
    return None


def _join(one: StagedColumn) -> str:
    k = one.number
    return (
        f"{one.joins} LEFT JOIN {_known(str(one.mapping.kind))} AS n{k} "
        f"ON n{k}.params = {one.params} AND n{k}.raw = b.r{k}"
    )


def _mapped_value(one: StagedColumn) -> str:
    k, type_ = one.number, one.attribute.type
    if one.mapping.kind is None:
        return f"b.v{k}"
    read = f"n{k}.value"
    if type_ is ValueType.ARRAY:
        read = f"{read}::JSON::VARCHAR[]"
    return f"coalesce(b.v{k}, ({read})::{type_.duckdb})"
