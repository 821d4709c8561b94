"""What differs between the SQL dialects that the brand's SQL may be written in.

What belongs here: facts about dialects, and reading SQL by them: what is one query, where its
``$as_of`` is, what is one condition. What does not: any query of the pipeline's own.

Sources: the documentation of each database, "Data types", "TRIM", "TRANSLATE" and its setting of
the session's time zone; DuckDB's ``trim`` removes the characters of Unicode's category Zs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from braze_pipeline.errors import ConfigurationError
from braze_pipeline.storage.sql_text import day_sql, literal

if TYPE_CHECKING:
    from sqlglot.tokenizer_core import Token

    from braze_pipeline.settings.places import Connection

ZS: Final = "".join(map(chr, (0x20, 0xA0, 0x1680, *range(0x2000, 0x200B), 0x202F, 0x205F, 0x3000)))
"""Unicode's category Zs: what DuckDB's ``trim`` removes."""


@dataclass(frozen=True, kw_only=True)
class Dialect:
    """A dialect of SQL.

    Attributes:
        name: What sqlglot calls it.
        text: Its type for text of any length.
        filled: Whether a text has more than spaces, as SQL around ``{}``.
        zone: The statement that sets the session's time zone, around ``{}``, a literal; None where
            there is none.
        md5: The hash of a text, in hexadecimal digits, around ``{}``.
        repeats: Whether a query in WITH is computed as often as it is read.
    """

    name: str
    text: str = "VARCHAR"
    filled: str = f"translate({{}}, '{ZS}', '') <> ''"
    zone: str | None = "SET TIME ZONE {}"
    md5: str = "md5({})"
    repeats: bool = False


DUCKDB: Final = Dialect(name="duckdb", filled="trim({}) <> ''", zone=None)
_DIALECTS: Final[Mapping[str, Dialect]] = MappingProxyType(
    {
        "postgres": Dialect(name="postgres", text="TEXT"),
        "redshift": Dialect(name="redshift", text="VARCHAR(65535)", zone="SET timezone TO {}"),
        "snowflake": Dialect(name="snowflake", zone="ALTER SESSION SET TIMEZONE = {}"),
        "bigquery": Dialect(name="bigquery", text="STRING", zone=None, md5="to_hex(md5({}))"),
        "databricks": Dialect(name="databricks", text="STRING"),
        "spark": Dialect(name="spark", text="STRING", repeats=True),
    }
)


def dialect_of(connection: Connection | None) -> Dialect:
    """The dialect of a connection's SQL; DuckDB's without one."""
    return _DIALECTS[connection.type] if connection else DUCKDB


def query_for(file: Path, sql: str, dialect: Dialect, day: date) -> tuple[str, bool]:
    """The brand's query with the day in place of ``$as_of``, on the lines that it has in the file.

    It can be put into parentheses, before a line break. The second value is whether it uses
    ``$as_of``; if not, its rows are those of now.

    Args:
        file: Where it was read, for messages.
        sql: The text of the file.
        dialect: How to read it.
        day: The as-of date.

    Raises:
        ConfigurationError: it is not one SELECT; names the file and the line.
    """
    tokens = _tokens(file, sql, dialect)
    _check_one_query(file, sql, tokens)
    end = next((t.start for t in tokens if t.text == ";" and _is(t, "SEMICOLON")), len(sql))
    parts, at = [], 0
    for start, stop in _as_of(tokens):
        parts += [sql[at:start], day_sql(day)]
        at = stop
    return "".join([*parts, sql[at:end]]), at > 0


def without_end(sql: str, dialect: Dialect) -> str:
    """A query without its semicolon and what follows that, if these are comments alone."""
    try:
        tokens = _tokens(Path(), sql, dialect) if ";" in sql else []
    except ConfigurationError:
        return sql  # the database says what is wrong with it
    ended = [token for token in tokens if _is(token, "SEMICOLON")]
    return sql[: ended[0].start] if ended and ended == tokens[-len(ended) :] else sql


def _is(token: Token, *names: str) -> bool:
    return token.token_type.name in names


def _tokens(file: Path, sql: str, dialect: Dialect) -> list[Token]:
    from sqlglot.dialects.dialect import Dialect as Sqlglot
    from sqlglot.errors import TokenError

    try:
        return list(Sqlglot.get_or_raise(dialect.name).tokenize(sql))
    except TokenError as error:
        raise ConfigurationError(
            f"{file} is not SQL in the dialect of {dialect.name}: a text, a quoted name or a "
            "comment has no end.",
            fix="Close it.",
        ) from error


def _check_one_query(file: Path, sql: str, tokens: list[Token]) -> None:
    def at(token: Token) -> str:
        # The line that a token knows counts those of some comments twice.
        return f"{file}:{sql.count(chr(10), 0, token.start) + 1}"

    if not tokens or not _is(tokens[0], "SELECT", "WITH"):
        raise ConfigurationError(
            f"{at(tokens[0]) if tokens else file}: not one SELECT statement.",
            fix="Begin with SELECT or WITH; the pipeline creates the table itself.",
        )
    depth = 0
    ended: Token | None = None
    for token in tokens:
        if ended is not None and not _is(token, "SEMICOLON"):
            raise ConfigurationError(
                f"{at(token)}: a second statement.",
                fix="Put preparing steps into WITH: the file is one SELECT.",
            )
        if _is(token, "SEMICOLON"):
            ended = token
        depth += _is(token, "L_PAREN") - _is(token, "R_PAREN")
        if depth < 0:
            raise ConfigurationError(
                f"{at(token)}: a parenthesis is closed that was never opened.",
                fix="Remove it, or open it.",
            )
    if depth:
        raise ConfigurationError(
            f"{file}: a parenthesis is never closed.", fix="Close it, or remove it."
        )


def _as_of(tokens: list[Token]) -> Iterator[tuple[int, int]]:
    """Where ``$as_of`` begins and ends: one token in some dialects, two in others."""
    for token, after in zip(tokens, [*tokens[1:], None], strict=True):
        if _is(token, "VAR") and token.text.lower() == "$as_of":
            yield token.start, token.end + 1
        elif (
            _is(token, "PARAMETER")
            and token.text == "$"
            and after is not None
            and after.text.lower() == "as_of"
            and after.start == token.end + 1
        ):
            yield token.start, after.end + 1


def qualified_tables(sql: str, dialect: Dialect) -> list[str]:
    """The tables that a query names with their schema; none where it cannot be parsed."""
    import sqlglot
    from sqlglot import exp

    try:
        tree = sqlglot.parse_one(sql, dialect=dialect.name)
    except sqlglot.errors.SqlglotError:
        return []
    return [table.sql(dialect.name) for table in tree.find_all(exp.Table) if table.db]


def condition_in(dialect: Dialect, where: str) -> str:
    """A condition of the configuration in a dialect, in parentheses, safe to use in a query.

    Raises:
        ConfigurationError: it is anything but one expression over the columns of a row.
    """
    # With and without parentheses: `a) OR (b` is an expression only in the former.
    if not all(_one_expression(dialect, text) for text in (where, f"({where}\n)")):
        raise not_a_condition(where, f" in the dialect of {dialect.name}")
    return f"({where}\n)"


def not_a_condition(where: str, more: str) -> ConfigurationError:
    """The error for a condition of the configuration that is something else."""
    return ConfigurationError(
        f"`{where.strip()}` is not one SQL condition{more}.",
        fix="Write one condition over the columns of the customer attributes table, such as "
        "`lifetime_value >= 100 AND country = 'GB'`: no second statement and no subquery.",
    )


def _one_expression(dialect: Dialect, text: str) -> bool:
    import sqlglot
    from sqlglot import exp

    try:
        statements = sqlglot.parse(f"SELECT {text}\n", dialect=dialect.name)
    except sqlglot.errors.SqlglotError:
        return False
    if len(statements) != 1 or not isinstance(statements[0], exp.Select):
        return False
    query = statements[0]
    others = {name for name, value in query.args.items() if value and name != "expressions"}
    refused = (exp.Query, exp.Placeholder, exp.Parameter, exp.Star, exp.Alias, exp.Command)
    return (
        not others
        and len(query.expressions) == 1
        and not any(part is not query and isinstance(part, refused) for part in query.walk())
    )


def zone_statement(dialect: Dialect, zone: str) -> str | None:
    """What makes midnight in the warehouse midnight in the template's time zone."""
    return dialect.zone.format(literal(zone)) if dialect.zone else None
