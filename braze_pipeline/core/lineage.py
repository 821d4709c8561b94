"""From which columns of the source tables each column of the brand's own SQL is made.

To load the parser and follow the SQL takes a fifth of a second of each run, so what was found is
kept until the SQL, the sources' columns or the parser change.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import duckdb
    from sqlglot.lineage import Node

    from braze_pipeline.core.sources import SourceInfo
    from braze_pipeline.settings import TemplateSettings

Origins = Mapping[str, Sequence[tuple[str, str]]]

TABLE: Final = "records.column_lineage"
WAY: Final = 1
"""Raise it when the same SQL would be followed differently: what is kept is then found anew."""

_DDL = f"""
CREATE SCHEMA IF NOT EXISTS records;
CREATE TABLE IF NOT EXISTS {TABLE} (
    destination VARCHAR NOT NULL,
    template VARCHAR NOT NULL,
    made_from VARCHAR NOT NULL,  -- hash of the SQL, the sources' columns and the parser
    origins VARCHAR NOT NULL,    -- JSON: column -> [[source table, its column], ...]
    PRIMARY KEY (destination, template)
);
"""


def kept_origins(
    con: duckdb.DuckDBPyConnection, t: TemplateSettings, sources: Sequence[SourceInfo]
) -> Origins:
    """``origins`` of a template's SQL, followed only where something changed since."""
    sql = t.attributes_sql.read_text(encoding="utf-8-sig")
    columns = [(source.name, source.columns) for source in sources]
    read = json.dumps([WAY, version("sqlglot"), sql, columns])
    made_from = hashlib.sha256(read.encode()).hexdigest()
    con.execute(_DDL)
    found = con.execute(
        f"SELECT origins FROM {TABLE} WHERE destination = ? AND template = ? AND made_from = ?",
        [t.destination.name, t.name, made_from],
    ).fetchone()
    if found:
        return {name: [(a, b) for a, b in pairs] for name, pairs in json.loads(found[0]).items()}
    new = origins(sql, sources)
    con.execute(
        f"INSERT OR REPLACE INTO {TABLE} VALUES (?, ?, ?, ?)",
        [t.destination.name, t.name, made_from, json.dumps(new)],
    )
    return new


def origins(sql: str, sources: Sequence[SourceInfo]) -> Origins:
    """Source table and column of all that a column's value depends on, by column of the SQL.

    Filters of the whole query (its WHERE and joins) are not among them. Nothing is told of SQL that
    the parser does not follow though DuckDB does: lineage is for looking at, and no reason to fail.

    Args:
        sql: What defines the customer attributes table.
        sources: The source tables, with their columns.
    """
    try:
        return _origins(sql, sources)
    except Exception:  # noqa: BLE001 - whatever a parser stumbles over, the night's run goes on
        return {}


def _origins(sql: str, sources: Sequence[SourceInfo]) -> Origins:
    from sqlglot.lineage import lineage

    schema: dict[str, object] = {source.name: dict(source.columns) for source in sources}
    columns = {source.name: {name for name, _ in source.columns} for source in sources}
    # Columns that nobody reads stay in the subqueries: to cut them out costs more than all else.
    nodes = lineage(None, sql, schema, dialect="duckdb", trim_selects=False)
    return {name: sorted(_leaves(node, columns)) for name, node in nodes.items()}


def _leaves(root: Node, columns: Mapping[str, set[str]]) -> set[tuple[str, str]]:
    """The source columns under a node; each node once, however many ways lead to it."""
    found, seen, left = set(), {id(root)}, [root]
    while left:
        node = left.pop()
        if leaf := _source_column(node, columns):
            found.add(leaf)
        for below in node.downstream:
            if id(below) not in seen:
                seen.add(id(below))
                left.append(below)
    return found


def _source_column(node: Node, columns: Mapping[str, set[str]]) -> tuple[str, str] | None:
    """A leaf that is a column of one of the source tables."""
    from sqlglot import exp

    if node.downstream or not isinstance(node.expression, exp.Table):
        return None
    table, column = node.expression.name, node.name.rpartition(".")[2]
    return (table, column) if column in columns.get(table, ()) else None
