"""What the brand's SQL reaches for, according to DuckDB's own parser.

DuckDB itself keeps files, other databases and settings out of reach (`seal`). This module looks at
a statement before it runs: it names what is out of reach and the line, and it limits the SQL to the
source tables where DuckDB cannot, inside the database of a source.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from braze_pipeline.sources.dialects import not_a_condition
from braze_pipeline.storage.sql_text import name_key

if TYPE_CHECKING:
    import duckdb

_QUERIES: Final = frozenset({"SELECT_NODE", "SET_OPERATION_NODE", "RECURSIVE_CTE_NODE"})
_RELATIONS: Final = frozenset(
    {"BASE_TABLE", "SUBQUERY", "JOIN", "TABLE_FUNCTION", "EXPRESSION_LIST", "EMPTY", "PIVOT"}
)
TABLE_FUNCTIONS: Final = frozenset(
    {"unnest", "range", "generate_series", "repeat", "repeat_row", "json_each", "json_tree"}
)
"""The table functions that read nothing but their arguments."""
_SETTINGS: Final = frozenset({"current_setting", "getenv", "getvariable"})


class OutOfReach(NamedTuple):
    """Something that SQL reaches for and must not.

    Attributes:
        what: A table, function or kind of statement, as the SQL names it.
        at: Its position in the SQL in bytes; past the end where the parser gives none.
    """

    what: str
    at: int


def parse(con: duckdb.DuckDBPyConnection, sql: str) -> list[dict[str, Any]]:
    """The SELECT statements of a text, as DuckDB parses them.

    Raises:
        ValueError: it is anything else; the message is DuckDB's.
    """
    row = con.execute("SELECT json_serialize_sql(?::VARCHAR)", [sql]).fetchone()
    parsed = json.loads(row[0]) if row else {}
    if parsed["error"]:
        raise ValueError(parsed["error_message"])
    return [one["node"] for one in parsed["statements"]]


def find_out_of_reach(query: dict[str, Any], tables: Iterable[str]) -> OutOfReach | None:
    """The first thing in a parsed query that is neither one of the tables nor made from them."""
    return next(_out_of_reach(query, frozenset(name_key(name) for name in tables)), None)


def tables_of(query: dict[str, Any]) -> frozenset[str]:
    """What a parsed query reads from outside itself, by ``name_key``: tables, and functions."""
    return frozenset(name_key(one.what) for one in _out_of_reach(query, frozenset()))


def condition(where: str) -> str:
    """A condition of the configuration, in parentheses, safe to use inside a query.

    Raises:
        ConfigurationError: it is anything but one expression over the columns of a row.
    """
    import duckdb

    with duckdb.connect() as con:
        # With and without parentheses: `a) OR (b` is an expression only in the former.
        for wrapped in (f"SELECT {where}\n", f"SELECT ({where}\n)"):
            try:
                whole = [_is_expression(query) for query in parse(con, wrapped)] == [True]
                why = ""
            except ValueError as error:
                # Whatever else than a SELECT it is, DuckDB says "can be serialized to json".
                whole, why = False, "" if "serialized to json" in str(error) else f" ({error})"
            if not whole:
                raise not_a_condition(where, why)
    return f"({where}\n)"


def _is_expression(query: dict[str, Any]) -> bool:
    """Whether a parsed query is ``SELECT expression`` that reads nothing but a row."""
    if query["type"] != "SELECT_NODE" or query["from_table"]["type"] != "EMPTY":
        return False
    clauses = ("where_clause", "group_expressions", "having", "qualify", "sample", "modifiers")
    if any(query[clause] for clause in clauses) or query["cte_map"]["map"]:
        return False
    classes = {part.get("class") for part in _parts(query["select_list"])}
    return (
        len(query["select_list"]) == 1
        and classes.isdisjoint({"SUBQUERY", "PARAMETER", "STAR"})
        and find_out_of_reach(query, ()) is None
    )


def _parts(part: object) -> Iterator[dict[str, Any]]:
    if isinstance(part, dict):
        yield part
        part = list(part.values())
    if isinstance(part, list):
        for one in part:
            yield from _parts(one)


def _out_of_reach(part: object, known: frozenset[str]) -> Iterator[OutOfReach]:
    if isinstance(part, list):
        for one in part:
            yield from _out_of_reach(one, known)
    if not isinstance(part, dict):
        return
    found = _refused(part, known)
    if found is not None:
        yield OutOfReach(found, part.get("query_location", sys.maxsize))
    for common in part.get("cte_map", {}).get("map", ()):
        name, query = name_key(common["key"]), common["value"]
        # In DuckDB 2 the key is query_node. Only a recursive WITH sees itself.
        body = query.get("query_node") or query["query"]["node"]
        recursive = body["type"] == "RECURSIVE_CTE_NODE"
        yield from _out_of_reach(query, known | {name} if recursive else known)
        known |= {name}
    yield from _out_of_reach([value for key, value in part.items() if key != "cte_map"], known)


def _refused(part: dict[str, Any], known: frozenset[str]) -> str | None:
    """What is out of reach in this node of a parsed query, leaving its children aside."""
    kind = part.get("type")
    if isinstance(kind, str) and kind.endswith("_NODE"):
        return None if kind in _QUERIES else kind.removesuffix("_NODE").removesuffix("_QUERY")
    if part.get("class") == "FUNCTION":
        name = str(part["function_name"])
        return f"{name}()" if name_key(name) in _SETTINGS else None
    if not {"alias", "sample"} <= part.keys():
        return None
    if kind == "BASE_TABLE":
        names = [part["catalog_name"], part["schema_name"], part["table_name"]]
        qualified = ".".join(name for name in names if name)
        return None if name_key(qualified) in known and not any(names[:2]) else qualified
    if kind == "TABLE_FUNCTION":
        name = str(part["function"]["function_name"])
        return None if name_key(name) in TABLE_FUNCTIONS else f"{name}()"
    return None if kind in _RELATIONS else str(kind).removesuffix("_REF")
