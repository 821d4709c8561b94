"""What SQL that a brand wrote reaches, by DuckDB's own parse of it.

The engine is what keeps files, other databases and settings out of reach (``sources.seal``).
This looks at the statement before it runs: it names what is out of reach and the line, and it keeps
to the source tables where the engine cannot, inside a database that a source lies in.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from braze_pipeline.errors import ConfigurationError
from braze_pipeline.storage.warehouse import name_key

if TYPE_CHECKING:
    import duckdb

_QUERIES: Final = frozenset({"SELECT_NODE", "SET_OPERATION_NODE", "RECURSIVE_CTE_NODE"})
_RELATIONS: Final = frozenset(
    {"BASE_TABLE", "SUBQUERY", "JOIN", "TABLE_FUNCTION", "EXPRESSION_LIST", "EMPTY", "PIVOT"}
)
TABLE_FUNCTIONS: Final = frozenset(
    {"unnest", "range", "generate_series", "repeat", "repeat_row", "json_each", "json_tree"}
)
"""The table functions that make rows of their arguments alone."""
_SETTINGS: Final = frozenset({"current_setting", "getenv", "getvariable"})


class Beyond(NamedTuple):
    """Something that SQL reaches and must not.

    Attributes:
        what: A table, function or kind of statement, as the SQL names it.
        at: Where it is in the SQL, in bytes; more than it has where the parser does not say.
    """

    what: str
    at: int


def parse(con: duckdb.DuckDBPyConnection, sql: str) -> list[dict[str, Any]]:
    """The SELECT statements of a text, as DuckDB parses them.

    Raises:
        ValueError: it is something else; says what, in DuckDB's words.
    """
    row = con.execute("SELECT json_serialize_sql(?::VARCHAR)", [sql]).fetchone()
    parsed = json.loads(row[0]) if row else {}
    if parsed["error"]:
        raise ValueError(parsed["error_message"])
    return [one["node"] for one in parsed["statements"]]


def beyond(query: dict[str, Any], tables: Iterable[str]) -> Beyond | None:
    """The first thing in a parsed query that is not one of the tables, or made of them."""
    return next(_beyond(query, frozenset(name_key(name) for name in tables)), None)


def condition(where: str) -> str:
    """A condition of the configuration, in parentheses, fit to stand in a query.

    Raises:
        ConfigurationError: it is anything but one expression over the columns of a row.
    """
    import duckdb

    with duckdb.connect() as con:
        # In parentheses, and without: `a) OR (b` is an expression in the one and not in the other.
        for wrapped in (f"SELECT {where}\n", f"SELECT ({where}\n)"):
            try:
                whole = [_is_expression(query) for query in parse(con, wrapped)] == [True]
                why = ""
            except ValueError as error:
                whole, why = False, f" ({error})"
            if not whole:
                raise ConfigurationError(
                    f"`{where.strip()}` is not one SQL condition{why}.",
                    fix="Write one condition over the columns of the customer attributes table, "
                    "such as `lifetime_value >= 100 AND country = 'GB'`: no second statement and "
                    "no subquery.",
                )
    return f"({where}\n)"


def _is_expression(query: dict[str, Any]) -> bool:
    """Whether a parsed query is ``SELECT expression``, and the expression reads a row alone."""
    if query["type"] != "SELECT_NODE" or query["from_table"]["type"] != "EMPTY":
        return False
    clauses = ("where_clause", "group_expressions", "having", "qualify", "sample", "modifiers")
    if any(query[clause] for clause in clauses) or query["cte_map"]["map"]:
        return False
    classes = {part.get("class") for part in _parts(query["select_list"])}
    return (
        len(query["select_list"]) == 1
        and classes.isdisjoint({"SUBQUERY", "PARAMETER", "STAR"})
        and beyond(query, ()) is None
    )


def _parts(part: object) -> Iterator[dict[str, Any]]:
    if isinstance(part, dict):
        yield part
        part = list(part.values())
    if isinstance(part, list):
        for one in part:
            yield from _parts(one)


def _beyond(part: object, known: frozenset[str]) -> Iterator[Beyond]:
    if isinstance(part, list):
        for one in part:
            yield from _beyond(one, known)
    if not isinstance(part, dict):
        return
    found = _refused(part, known)
    if found is not None:
        yield Beyond(found, part.get("query_location", sys.maxsize))
    for common in part.get("cte_map", {}).get("map", ()):
        name, query = name_key(common["key"]), common["value"]
        # DuckDB 2 says query_node. Only a recursive one sees itself.
        body = query.get("query_node") or query["query"]["node"]
        recursive = body["type"] == "RECURSIVE_CTE_NODE"
        yield from _beyond(query, known | {name} if recursive else known)
        known |= {name}
    yield from _beyond([value for key, value in part.items() if key != "cte_map"], known)


def _refused(part: dict[str, Any], known: frozenset[str]) -> str | None:
    """What is out of reach in a part of a parsed query, not looking at the parts of it."""
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
