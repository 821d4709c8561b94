"""From which columns of the source tables each column of the brand's own SQL is made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlglot.lineage import Node

    from braze_pipeline.core.sources import SourceInfo

Origins = Mapping[str, Sequence[tuple[str, str]]]


def origins(file: Path, sources: Sequence[SourceInfo]) -> Origins:
    """Source table and column of all that a column's value depends on, by column of the SQL.

    Filters of the whole query (its WHERE and joins) are not among them. Nothing is told of SQL that
    the parser does not follow though DuckDB does: lineage is for looking at, and no reason to fail.

    Args:
        file: The SQL that defines the customer attributes table.
        sources: The source tables, with their columns.
    """
    try:
        return _origins(file.read_text(encoding="utf-8"), sources)
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
