"""From which columns of the source tables each column of the brand's own SQL is made.

To load the parser and follow the SQL takes a second of each run, so what was found is kept until
the SQL, the sources' columns or the parser change.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from typing import TYPE_CHECKING, Final

from braze_pipeline.sources.typed_tables import TABLES
from braze_pipeline.storage.warehouse import name_key
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
WAY: Final = 2
"""Raise it when the same SQL would be followed differently: what is kept is then found anew."""

USUAL: Final[Columns] = {
    name: tuple((column.name, column.type) for column in table.columns)
    for name, table in TABLES.items()
}
"""The columns that are known before a source is read."""


@dataclass(frozen=True, kw_only=True)
class Lineage:
    """Source table and column behind each column of the SQL, by its folded name.

    A table is empty where it is not known to which one a column belongs.

    Attributes:
        origins: All that a value depends on, but for filters of the whole query (WHERE, joins).
        content: What a value says something of: not what is only counted, or asked whether it is
            there.
        values: What a value holds: not what only decides which one it is.
        complete: The parser followed the SQL, and all columns that it gives are above.
    """

    origins: Origins = field(default_factory=dict)
    content: Origins = field(default_factory=dict)
    values: Origins = field(default_factory=dict)
    complete: bool = False


def cached_lineage(
    con: duckdb.DuckDBPyConnection, t: TemplateSettings, sources: Sequence[SourceInfo]
) -> Lineage:
    """The lineage of a template's SQL, followed only where something changed since."""
    sql = read_text(t.attributes_sql)
    columns = {source.name: source.columns for source in sources}
    read = json.dumps([WAY, version("sqlglot"), sql, columns])
    made_from = hashlib.sha256(read.encode()).hexdigest()
    found = _kept(con, t, "AND made_from = ?", made_from)
    if found is not None:
        return found
    new = follow(sql, columns)
    con.execute(
        f"INSERT OR REPLACE INTO {TABLE} (destination, template, made_from, origins) "
        "VALUES (?, ?, ?, ?)",
        [t.destination.name, t.name, made_from, json.dumps({"way": WAY, **asdict(new)})],
    )
    return new


def last_lineage(con: duckdb.DuckDBPyConnection, t: TemplateSettings) -> Lineage:
    """The lineage of the SQL by which the newest customer attributes were built."""
    return _kept(con, t) or Lineage()


def _kept(
    con: duckdb.DuckDBPyConnection, t: TemplateSettings, where: str = "", *more: str
) -> Lineage | None:
    row = con.execute(
        f"SELECT origins FROM {TABLE} WHERE destination = ? AND template = ? {where}",
        [t.destination.name, t.name, *more],
    ).fetchone()
    kept = json.loads(row[0]) if row else {}
    if kept.pop("way", None) != WAY:
        return None
    complete = kept.pop("complete")
    pairs = {
        which: {name: [(a, b) for a, b in found] for name, found in columns.items()}
        for which, columns in kept.items()
    }
    return Lineage(**pairs, complete=complete)


def follow(sql: str, columns: Columns = USUAL) -> Lineage:
    """The lineage of SQL; an empty one where the parser does not follow it though DuckDB does.

    Args:
        sql: What defines the customer attributes table.
        columns: Of the source tables; others pass through, and keep their names.
    """
    try:
        return _follow(sql, columns)
    except Exception:  # noqa: BLE001 - whatever a parser stumbles over, the night's run goes on
        return Lineage()


def _follow(sql: str, columns: Columns) -> Lineage:
    from sqlglot import exp, parse_one

    # It warns of what it cannot resolve, with the SQL; here that is part of the result.
    logging.getLogger("sqlglot").setLevel(logging.CRITICAL)
    tree = parse_one(sql, dialect="duckdb")
    known = {table: {name_key(name) for name, _ in named} for table, named in columns.items()}
    everything = _leaves_by_column(tree, columns)
    content = _only_content(tree)
    return Lineage(
        origins={
            name: [(table, column) for table, column in leaves if column in known.get(table, ())]
            for name, leaves in everything.items()
        },
        content=_leaves_by_column(content, columns),
        values=_leaves_by_column(_without_conditions(content), columns),
        complete="*" not in everything and tree.find(exp.Columns) is None,
    )


def _only_content(tree: exp.Expr) -> exp.Expr:
    """The SQL without what a value says nothing of: a number of rows shows no name."""
    from sqlglot import exp

    tree = tree.copy()
    counts = (exp.Count, exp.CountIf, exp.ApproxDistinct, exp.Exists)
    for node in list(tree.walk()):
        if isinstance(node, counts) or _asks_whether_there(node):
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


def _asks_whether_there(node: exp.Expr) -> bool:
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


def _leaves_by_column(tree: exp.Expr, columns: Columns) -> dict[str, list[tuple[str, str]]]:
    from sqlglot.lineage import lineage

    schema: dict[str, object] = {table: dict(named) for table, named in columns.items()}
    # Columns that nobody reads stay in the subqueries: to cut them out costs more than all else.
    nodes = lineage(
        None, tree, schema, dialect="duckdb", trim_selects=False, allow_partial_qualification=True
    )
    return {name_key(name): sorted(_leaves(node)) for name, node in nodes.items()}


def _leaves(root: Node) -> set[tuple[str, str]]:
    """The source columns under a node; each node once, however many ways lead to it."""
    from sqlglot import exp

    found, seen, left = set(), {id(root)}, [root]
    while left:
        node = left.pop()
        column = name_key(node.name.rpartition(".")[2].strip('"'))
        if isinstance(node.expression, exp.Table):
            found.add((node.expression.name, column))
        elif isinstance(node.expression, exp.Query | exp.Placeholder | exp.Star):
            # A star hands it on under its name, or nobody knows from where.
            found.add(("", column))
            continue
        for below in node.downstream:
            if id(below) not in seen:
                seen.add(id(below))
                left.append(below)
    return found
