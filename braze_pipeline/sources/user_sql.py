"""SQL that the brand owns: run as it is, with errors that name the file and the line.

What belongs here: running such a file and putting DuckDB's errors into words. DuckDB's messages
about data quote the data, so these are shown masked. What the SQL may reach is in `reach`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Final

from braze_pipeline.errors import ConfigurationError, SourceChanged
from braze_pipeline.sources import reach
from braze_pipeline.sources.places.located import another_type, left_out_error
from braze_pipeline.sources.typed_tables import TABLES
from braze_pipeline.storage.masking import mask
from braze_pipeline.storage.sql_text import name_key, quote
from braze_pipeline.storage.warehouse import disk_full
from braze_pipeline.user_input import did_you_mean, read_text

if TYPE_CHECKING:
    import duckdb

    from braze_pipeline.settings import TemplateSettings

_FIX = "Fix the SQL: one SELECT over the source tables, in DuckDB's dialect."
_AS_OF: Final = "as_of"
_DATED: Final = frozenset(name for name, table in TABLES.items() if table.dated_by)
"""The source tables whose rows are known to have dates: SQL over them can and must use these."""
_WORDS: Final = """
a abs addition allowed an and are argument array as at attempting bar base be because bigint bit
blob bool boolean by byte can cannot cast casting character codepoint constant conversion convert
could create currval data date decimal decode destination digit division double element encountered
enum error exactly exceeds exist exists expected expression extract failed field float for format
found from function getvariable given group hex hugeint if in index infinity input int integer
interval invalid is it json key keys length limit list logarithm malformed map max mean min missing
more multiple multiplication must name near negative nextval no not null number numerical of on one
only operator or order out outside overflow parse path position precision prefix range recognized
regex repetition requires result return returned root row rows scalar single size smallint sorting
source specification specifier square strftime string strptime struct subqueries subquery substring
subtraction sum supported t take than the time timestamp timezone tinyint to too type tz ubigint
uhugeint uint uinteger unable unexpected unique unknown unsigned use used usmallint utf utinyint
uuid value values varchar when width with within year zero
"""
"""In DuckDB's messages about values. Others can be a value's: ``error(name)`` gives it as it is."""
_TYPE: Final = r"\b(?:DECIMAL\(\d\d?(?:, ?\d\d?)?\)|U?INT(?:8|16|32|64|128)(?!\w))"
"""Types whose names have digits."""


def create_table(
    con: duckdb.DuckDBPyConnection,
    file: Path,
    name: str,
    as_of: date,
    *,
    tables: Collection[str],
    needed: Collection[str],
) -> bool:
    """Create a table with the result of a SQL file for one day.

    Returns whether the SQL uses ``$as_of``. If not, its rows are those of now.

    Args:
        con: A connection with the source tables and nothing else (``sources.sealed``).
        file: The SQL file.
        name: The table to create, quoted.
        as_of: The value of ``$as_of``.
        tables: The source tables that the SQL may read.
        needed: The columns of the result that somebody reads. Of the others, those that are left
            out of a source (``attach``) are left out here too: ``SELECT *`` gives them.

    Raises:
        ConfigurationError: the file is not one SELECT, reads anything but the tables, reads dated
            rows without using ``$as_of``, or cannot be run.
        SourceChanged: the SQL uses a column that is left out of a source, or a source file turned
            out to be damaged while it was read.
    """
    import duckdb

    sql, dated = _checked(con, file, tables)
    values = {"as_of": as_of} if dated else {}
    try:
        # On the first line of the file's own text, so that DuckDB's line numbers are the file's.
        described = con.execute(f"DESCRIBE {sql}", values).fetchall()
        names = [str(column) for column, *_ in described]
        check_names(file, names)
        try:
            con.execute(f"CREATE TABLE {name} AS {sql}", values)
        except duckdb.InvalidInputException as error:
            unread = _unread(con, error, names, needed)
            if not unread:
                raise
            excluded = ", ".join(map(quote, unread))
            query = f"SELECT * EXCLUDE ({excluded}) FROM ({_statement(sql)}\n)"
            con.execute(f"CREATE TABLE {name} AS {query}", values)
    except (duckdb.OutOfMemoryException, duckdb.InterruptException, duckdb.InternalException):
        raise
    except duckdb.IOException as error:
        raise damaged(error) from error
    except duckdb.Error as error:
        for why in _left_out(con).values():
            if why in str(error):
                raise left_out_error(why, f"{file} cannot be run. ") from error
        if another := another_type(error):
            raise another from error
        raise ConfigurationError(f"{file} cannot be run: {reason(error)}", fix=_FIX) from error
    return dated


def _left_out(con: duckdb.DuckDBPyConnection) -> dict[str, str]:
    """The columns that are left out of the sources, by ``name_key``, and why."""
    return {
        name_key(name): why
        for name, why in con.execute(
            "SELECT column_name, comment FROM duckdb_columns() WHERE comment IS NOT NULL"
        ).fetchall()
    }


def _unread(
    con: duckdb.DuckDBPyConnection,
    error: Exception,
    names: Iterable[str],
    needed: Collection[str],
) -> list[str]:
    """The columns of a result that nobody reads, if one that is left out of a source failed."""
    left_out, read = _left_out(con), set(map(name_key, needed))
    if not any(why in str(error) for why in left_out.values()):
        return []
    return [name for name in names if name_key(name) in left_out.keys() - read]


def _statement(sql: str) -> str:
    """The text of the one statement, without its semicolon and what follows that."""
    import duckdb

    text = sql.encode()
    end = next((at for at, _ in duckdb.tokenize(sql) if text[at : at + 1] == b";"), len(text))
    return text[:end].decode()


def tables_read(con: duckdb.DuckDBPyConnection, file: Path) -> frozenset[str] | None:
    """The tables that a SQL file reads, by ``name_key``; None where it cannot be parsed."""
    try:
        return reach.tables_of(reach.parse(con, read_text(file))[0])
    except (ValueError, IndexError):
        return None


def require_columns(t: TemplateSettings, names: Iterable[str], readers: Mapping[str, str]) -> None:
    """Refuse the brand's SQL when it lacks a column.

    Args:
        t: The template.
        names: The columns that its SQL gives.
        readers: The columns that are needed, each with what reads it, for the message.

    Raises:
        ConfigurationError: names the column, and the one that was probably meant.
    """
    given = {name_key(name): name for name in names}
    for column, reader in readers.items():
        if name_key(column) not in given:
            raise ConfigurationError(
                f"{t.attributes_sql} gives no column '{column}', which {reader} of the template "
                f"{t.name!r} reads.{did_you_mean(column, given.values())}",
                fix=f"Select {column} there and run the day again in full, or remove what reads it "
                "from defs.yaml.",
            )


def check_names(file: Path, names: Iterable[str]) -> None:
    """Refuse two columns with one name: DuckDB would silently rename the second to ``name_1``.

    Raises:
        ConfigurationError: names both.
    """
    first: dict[str, str] = {}
    for name in names:
        if name_key(name) in first:
            raise ConfigurationError(
                f"{file} gives two columns that SQL cannot tell apart: {first[name_key(name)]} and "
                f"{name}.",
                fix="Rename one of them (`AS`), or exclude it (`SELECT c.* EXCLUDE (name)`).",
            )
        first[name_key(name)] = name


def damaged(error: Exception) -> Exception:
    """The error for a source that was found and then could not be read to its end."""
    if disk_full(error, Path()) is not None:
        return error  # whoever opened the warehouse reports it, with the path
    return SourceChanged(
        f"A source table could not be read to its end: {reason(error)}",
        fix="Check that its files are complete and have the same columns and types, and that "
        "nothing replaces them while they are read.",
    )


def _checked(
    con: duckdb.DuckDBPyConnection, file: Path, tables: Collection[str]
) -> tuple[str, bool]:
    """The SQL, and whether it uses ``$as_of``."""
    import duckdb

    sql = read_text(file)
    try:
        statements = con.extract_statements(sql)
    except duckdb.Error as error:
        raise ConfigurationError(f"{file} cannot be run: {reason(error)}", fix=_FIX) from error
    if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
        raise ConfigurationError(
            f"{file} is not one SELECT statement.",
            fix="Put preparing steps into WITH; the pipeline creates the table itself.",
        )
    _check_reach(con, file, sql, tables)
    parameters = set(statements[0].named_parameters)
    dated = sorted(_DATED & (tables_read(con, file) or _DATED))
    if _AS_OF not in parameters and dated:
        raise ConfigurationError(
            f"{file} reads {', '.join(dated)} and does not use $as_of: every day would give the "
            "same rows, later data included.",
            fix="Use only rows dated before `$as_of + INTERVAL 1 DAY`.",
        )
    if parameters - {_AS_OF}:
        others = ", ".join(f"${one}" for one in sorted(parameters - {_AS_OF}))
        raise ConfigurationError(
            f"{file} uses {others}, which have no value.",
            fix="$as_of is the only parameter.",
        )
    return sql, _AS_OF in parameters


def _check_reach(
    con: duckdb.DuckDBPyConnection, file: Path, sql: str, tables: Collection[str]
) -> None:
    try:
        found = reach.find_out_of_reach(reach.parse(con, sql)[0], tables)
    except ValueError as error:
        raise ConfigurationError(f"{file} cannot be run: {error}", fix=_FIX) from error
    if found is None:
        return
    before = sql.encode()[: found.at]
    line = f" (line {before.count(10) + 1})" if found.at < len(sql.encode()) else ""
    raise ConfigurationError(
        f"{file} uses {found.what}{line}, which is out of its reach: it sees only the source "
        f"tables and its own WITH.{did_you_mean(found.what, tables)}",
        fix=f"The source tables are {', '.join(tables)}; the table functions that may be used are "
        f"{', '.join(sorted(reach.TABLE_FUNCTIONS))}.",
    )


def reason(error: Exception) -> str:
    """Why DuckDB refused a statement, in its own words; values of the data are masked."""
    import duckdb

    text, _, place = str(error).partition("\n\nLINE ")
    number = place.partition(":")[0]
    where = f" (line {number})" if number.isdigit() else ""
    # Every type that an operator takes: dozens of lines.
    text = text.partition("\n\tCandidate functions:")[0]
    if not isinstance(
        error,
        (
            duckdb.ParserException,
            duckdb.BinderException,
            duckdb.CatalogException,
            duckdb.IOException,
        ),
    ):
        text = _masked(text)
    return f"{' '.join(text.split()).rstrip('.')}{where}."


def _masked(text: str) -> str:
    """A message that may contain values anywhere: only words known to be DuckDB's are shown."""
    known = frozenset(_WORDS.split())
    text = re.sub(r"(?s)(['\"]).*\1", lambda found: mask(found[0]) or "", text)
    kind, colon, rest = text.partition("\n")[0].partition(": ")
    said, another, value = rest.partition(": ")
    said, of, column = said.partition("source column ")
    said = re.sub(
        # Types and words; and what else there is, with the marks of letters.
        rf"({_TYPE})|[^\W\d_]+|[\W\d_]+",
        lambda word: word[0] if word[1] or word[0].lower() in known else mask(word[0]) or "",
        said,
    )
    column = column if kind == "Conversion Error" else mask(column) or ""
    shown = f"{kind}{colon}{said}{of}{column}{another}{mask(value)}"
    return re.sub(rf"({_TYPE})|\d", lambda found: found[1] or "9", shown)
