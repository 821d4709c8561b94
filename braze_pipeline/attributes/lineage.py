"""Which columns of the source tables each column of the brand's SQL is made from.

Loading the parser and tracing the SQL takes about a second, so the lineage is stored until the SQL,
the columns of the sources or the parser change. What follows from it (what is personal, what the UI
shows) belongs to `personal` and to the Dagster shell.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from typing import TYPE_CHECKING, Final

from braze_pipeline.sources.dialects import DUCKDB, dialect_of
from braze_pipeline.sources.typed_tables import TABLES
from braze_pipeline.storage.sql_text import name_key
from braze_pipeline.user_input import read_text

if TYPE_CHECKING:
    import duckdb
    from sqlglot import exp
    from sqlglot.lineage import Node

    from braze_pipeline.settings import TemplateSettings
    from braze_pipeline.sources import SourceInfo

Origins = Mapping[str, Sequence[tuple[str, str]]]
Columns = Mapping[str, Sequence[tuple[str, str]]]
"""Names and types of the columns of each source table."""

TABLE: Final = "records.column_lineage"
VERSION: Final = 2
"""Raise it when the same SQL would be traced differently: stored lineages are then replaced."""

DECLARED: Final[Columns] = {
    name: tuple((column.name, column.type) for column in table.columns)
    for name, table in TABLES.items()
}
"""The columns of the source tables as the package declares them, before a source is read."""


@dataclass(frozen=True, kw_only=True)
class Lineage:
    """Source table and column behind each column of the SQL, by ``name_key`` of its name.

    The table is empty where it is not known which table a column belongs to.

    Attributes:
        origins: Everything that a value depends on, except filters of the whole query (WHERE and
            joins).
        content: What a value reveals something about: without what is only counted, or only tested
            for being there.
        values: What a value contains: without what only decides between values.
        complete: The parser traced the SQL, and every column that it gives is listed.
    """

    origins: Origins = field(default_factory=dict)
    content: Origins = field(default_factory=dict)
    values: Origins = field(default_factory=dict)
    complete: bool = False


def cached_lineage(
    con: duckdb.DuckDBPyConnection, t: TemplateSettings, sources: Sequence[SourceInfo]
) -> Lineage:
    """The lineage of a template's SQL, traced only when something changed since it was stored."""
    sql = read_text(t.attributes_sql)
    columns = {source.name: source.columns for source in sources}
    dialect = dialect_of(t.run_in).name
    inputs = json.dumps([VERSION, version("sqlglot"), sql, columns, dialect])
    made_from = hashlib.sha256(inputs.encode()).hexdigest()
    found = _stored(con, t, "AND made_from = ?", made_from)
    if found is None:
        found = follow(sql, columns, dialect=dialect)
        con.execute(
            f"INSERT OR REPLACE INTO {TABLE} (destination, template, made_from, origins) "
            "VALUES (?, ?, ?, ?)",
            [t.destination.name, t.name, made_from, json.dumps({"way": VERSION, **asdict(found)})],
        )
    return found


def lineage_of(t: TemplateSettings) -> Lineage:
    """The lineage of a template's SQL before its sources are read."""
    columns = DECLARED if t.run_in is None else {}
    return follow(read_text(t.attributes_sql), columns, dialect=dialect_of(t.run_in).name)


def last_lineage(con: duckdb.DuckDBPyConnection, t: TemplateSettings) -> Lineage:
    """The lineage of the SQL that the newest customer attributes were built with."""
    return _stored(con, t) or Lineage()


def _stored(
    con: duckdb.DuckDBPyConnection, t: TemplateSettings, where: str = "", *more: str
) -> Lineage | None:
    row = con.execute(
        f"SELECT origins FROM {TABLE} WHERE destination = ? AND template = ? {where}",
        [t.destination.name, t.name, *more],
    ).fetchone()
    stored = json.loads(row[0]) if row else {}
    if stored.pop("way", None) != VERSION:
        return None
    complete = stored.pop("complete")
    pairs = {
        part: {name: [(table, column) for table, column in found] for name, found in named.items()}
        for part, named in stored.items()
    }
    return Lineage(**pairs, complete=complete)


def follow(sql: str, columns: Columns = DECLARED, *, dialect: str = DUCKDB.name) -> Lineage:
    """The lineage of SQL; an empty one where the parser cannot read what the database can.

    Args:
        sql: The SQL that defines the customer attributes table.
        columns: The columns of the source tables; other columns pass through under their own names.
        dialect: What the SQL is written in, as sqlglot calls it.
    """
    try:
        return _follow(sql, columns, dialect)
    except Exception:  # noqa: BLE001 - whatever the parser fails on, the run goes on
        return Lineage()


def _follow(sql: str, columns: Columns, dialect: str) -> Lineage:
    from sqlglot import exp, parse_one

    # The parser logs what it cannot resolve, with the SQL; here that is part of the result.
    logging.getLogger("sqlglot").setLevel(logging.CRITICAL)
    tree = parse_one(sql, dialect=dialect)
    known = {table: {name_key(name) for name, _ in named} for table, named in columns.items()}
    everything = _leaves_by_column(tree, columns, dialect)
    content = _only_content(tree)
    return Lineage(
        origins={
            name: [(table, column) for table, column in leaves if column in known.get(table, ())]
            for name, leaves in everything.items()
        },
        content=_leaves_by_column(content, columns, dialect),
        values=_leaves_by_column(_without_conditions(content), columns, dialect),
        complete="*" not in everything and tree.find(exp.Columns) is None,
    )


def _only_content(tree: exp.Expr) -> exp.Expr:
    """The SQL without what a value reveals nothing about: a count of rows shows no name."""
    from sqlglot import exp

    tree = tree.copy()
    counts = (exp.Count, exp.CountIf, exp.ApproxDistinct, exp.Exists)
    for node in list(tree.walk()):
        if isinstance(node, counts) or _tests_presence(node):
            node.replace(exp.Literal.number(1))
        elif isinstance(node, exp.Window):
            node.set("partition_by", None)
            node.set("order", None)
        elif isinstance(node, exp.Filter | exp.ArgMax | exp.ArgMin) or (
            isinstance(node, exp.Order) and node.this is not None
        ):
            node.replace(node.this)
        elif isinstance(node, exp.Sum | exp.Avg):
            node.replace(_without_conditions(node))
    return tree


def _tests_presence(node: exp.Expr) -> bool:
    """``x IS NULL``, ``x <> ''`` and their opposites."""
    from sqlglot import exp

    if isinstance(node, exp.Is):
        return isinstance(node.expression, exp.Null)
    return isinstance(node, exp.EQ | exp.NEQ) and any(
        isinstance(side, exp.Literal) and side.is_string and not side.name
        for side in (node.this, node.expression)
    )


def _without_conditions(tree: exp.Expr) -> exp.Expr:
    """The SQL without what decides between the branches of CASE and IF."""
    from sqlglot import exp

    tree = tree.copy()
    for node in list(tree.find_all(exp.Case, exp.If)):
        node.set("this", exp.true() if isinstance(node, exp.If) else None)
    return tree


def _leaves_by_column(
    tree: exp.Expr, columns: Columns, dialect: str
) -> dict[str, list[tuple[str, str]]]:
    from sqlglot.lineage import lineage

    schema: dict[str, object] = {table: dict(named) for table, named in columns.items()}
    # Unused columns stay in the subqueries: removing them would cost more than all the rest.
    nodes = lineage(
        None, tree, schema, dialect=dialect, trim_selects=False, allow_partial_qualification=True
    )
    return {name_key(name): sorted(_leaves(node)) for name, node in nodes.items()}


def _leaves(root: Node) -> set[tuple[str, str]]:
    """The source columns under a node; each node is visited once, however many paths lead to it."""
    from sqlglot import exp

    found, seen, pending = set(), {id(root)}, [root]
    while pending:
        node = pending.pop()
        column = name_key(node.name.rpartition(".")[2].strip('"'))
        if isinstance(node.expression, exp.Table):
            found.add((node.expression.name, column))
        elif isinstance(node.expression, exp.Query | exp.Placeholder | exp.Star):
            # A star passes it on under its own name, or its table is unknown.
            found.add(("", column))
            continue
        for below in node.downstream:
            if id(below) not in seen:
                seen.add(id(below))
                pending.append(below)
    return found
