"""The type of each part of a query, as DuckDB itself gives it.

A part is given to DuckDB with each column replaced by a value of the column's type; so the types
are those that DuckDB computes with, and none is guessed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from braze_pipeline.sources.dialects import DUCKDB
from braze_pipeline.storage.sql_text import family, name_key, quote
from braze_pipeline.storage.warehouse import columns

if TYPE_CHECKING:
    import duckdb
    from sqlglot import exp

UNKNOWN: Final = "UNKNOWN"


@dataclass(frozen=True, kw_only=True)
class Relation:
    """What a query reads, by the name that it has there.

    Attributes:
        name: Its alias.
        columns: Their types, by ``name_key``.
        key: Columns that together differ in each row; empty where none are known.
    """

    name: str
    columns: Mapping[str, str]
    key: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Scope:
    """One SELECT.

    Attributes:
        con: A DuckDB.
        relations: What the SELECT reads.
        key: The columns that together differ in each row that it gives; empty where none are known.
    """

    con: duckdb.DuckDBPyConnection
    relations: tuple[Relation, ...]
    key: frozenset[str] = frozenset()
    _types: dict[int, str] = field(default_factory=dict)

    def column(self, node: exp.Column) -> str | None:
        """The type of a column; None where no table has it."""
        name, table = name_key(node.name), name_key(node.table)
        for one in self.relations:
            if table in {"", name_key(one.name)} and name in one.columns:
                return one.columns[name]
        return None

    def type(self, node: exp.Expr) -> str:
        """The type of a part, ``UNKNOWN`` where DuckDB cannot tell."""
        if id(node) not in self._types:
            self._types[id(node)] = self._asked(node)
        return self._types[id(node)]

    def family(self, node: exp.Expr) -> str:
        """The family of that type; ``null`` for NULL itself."""
        from sqlglot import exp

        if isinstance(node, exp.Null):
            return "null"
        type_ = self.type(node)
        # Single precision, unsigned times and the like have no rule.
        exact = {"double": "DOUBLE", "timestamp": "TIMESTAMP", "text": "VARCHAR"}
        found = family(type_)
        return found if exact.get(found, type_) == type_ else "other"

    def _asked(self, node: exp.Expr) -> str:
        import duckdb
        from sqlglot import exp

        if isinstance(node, exp.Column):
            return self.column(node) or UNKNOWN
        inside = {id(one) for one in node.walk()}
        copied = node.copy()
        for mine, part in list(zip(node.walk(), copied.walk(), strict=True)):
            type_ = None
            if isinstance(mine, exp.Column):
                type_ = self.column(mine)
            elif isinstance(mine, exp.Placeholder):
                type_ = "DATE"
            elif isinstance(mine, exp.Identifier):
                bound = lambda_of(mine)
                if bound is not None and id(bound) not in inside:
                    type_ = self.type(bound.parent.this)[:-2] if bound.parent else None
            if type_ is not None:
                # Not a bare NULL: DuckDB would compute with it at once, and give another type.
                value: exp.Expr = exp.maybe_parse(
                    f"CASE WHEN random() > 2 THEN NULL::{type_} END", dialect=DUCKDB.name
                )
                copied = value if part is copied else copied
                part.replace(value)
        try:
            return str(columns(self.con, f"SELECT {copied.sql(DUCKDB.name)} AS a")[0][1])
        except duckdb.Error:
            return UNKNOWN


def lambda_of(node: exp.Identifier) -> exp.Lambda | None:
    """The lambda whose variable this is, where it is used; None for any other name."""
    from sqlglot import exp

    if isinstance(node.parent, exp.Column | exp.Alias | exp.Table | exp.TableAlias):
        return None
    found = node.find_ancestor(exp.Lambda)
    while found is not None and not (node.parent is found and node.arg_key == "expressions"):
        if any(name_key(one.name) == name_key(node.name) for one in found.expressions):
            return found
        found = found.find_ancestor(exp.Lambda)
    return None


def empty_table(con: duckdb.DuckDBPyConnection, name: str, query: str) -> dict[str, str]:
    """Give DuckDB a table with the columns of a query; their types by ``name_key``."""
    con.execute(f"CREATE OR REPLACE TABLE {quote(name)} AS SELECT * FROM ({query}\n) AS a LIMIT 0")
    return {name_key(column): type_ for column, type_ in columns(con, f"FROM {quote(name)}")}
