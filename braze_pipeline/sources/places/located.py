"""What a place gives: a relation that DuckDB can query, and its columns.

What belongs here: what all places share. How one of them finds its tables is in its own module.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from braze_pipeline.errors import SourceChanged
from braze_pipeline.storage import warehouse
from braze_pipeline.storage.sql_text import file_literal, literal, name_key

if TYPE_CHECKING:
    import duckdb

LEFT_OUT: Final = "braze_pipeline.left_out"
"""The key in an extract's file of the columns that it lacks: JSON, each with why."""
_DAMAGE: Final = {
    "unicode": "is not UTF-8",
    "utf-8": "is not UTF-8",
    "expected number of columns": "has a row with another number of columns than the header",
    "unterminated quote": "has a quotation mark that is never closed, or text after a closing one",
    "maximum line size": "has a line of more than 2 MB, or a quotation mark that is never closed",
    "invalid state": "ends some lines with CR LF and others with LF, or is not valid CSV",
    "csv error on line": "has a row that is not valid CSV",
    "gzip stream": "has zeros or something else behind its compressed data",
    "schema mismatch": "has files whose columns are of different types",
}
"""What DuckDB's errors mean, by words in them; the first match counts."""
_ANOTHER_TYPE: Final = re.compile(
    r'reading file "(?P<file>.+?)": failed to cast column "(?P<column>.+?)" '
    r"from type (?P<there>.+?) to (?P<first>.+?): "
)


@dataclass(frozen=True)
class LocatedSource:
    """A source table where it was found.

    Attributes:
        name: The name of the source table.
        location: File, folder or relation, for messages.
        relation: What to put after FROM.
        columns: Its own columns with their DuckDB types.
        text: All columns are text that was not interpreted yet (CSV). It is read once, into a
            temporary table.
        opens: The files and folders that DuckDB opens while the relation is queried.
        left_out: Columns that the extract lacks, because their values could not be kept as they
            are: the type that the SQL sees, and why, with what to do on a second line.
    """

    name: str
    location: str
    relation: str
    columns: dict[str, str]
    text: bool = False
    opens: tuple[Path, ...] = ()
    left_out: Mapping[str, tuple[str, str]] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """How messages begin."""
        return f"The source table {self.name} ({self.location})"

    def column(self, name: str) -> str | None:
        """A column by name, as SQL finds it."""
        return next((c for c in self.columns if name_key(c) == name_key(name)), None)


def describe(
    con: duckdb.DuckDBPyConnection,
    name: str,
    relation: str,
    location: str,
    *,
    text: bool = False,
    opens: tuple[Path, ...] = (),
) -> LocatedSource:
    """A relation with its columns; see `LocatedSource`.

    Raises:
        SourceChanged: DuckDB cannot read it.
    """
    import duckdb

    try:
        columns = dict(warehouse.columns(con, f"SELECT * FROM {relation}"))
    except (duckdb.CatalogException, duckdb.BinderException) as error:
        # A view that does not work; such errors name tables and columns, never values.
        raise SourceChanged(
            f"The source table {name} cannot be read from {location}: {error}",
            fix="Fix the view, and qualify the names in it.",
        ) from error
    except duckdb.Error as error:
        raise damaged_file(name, location, error) from error
    return LocatedSource(name, location, relation, columns, text, opens)


def of_extract(con: duckdb.DuckDBPyConnection, found: LocatedSource, file: Path) -> LocatedSource:
    """The same without the columns that are left out of an extract's file."""
    rows = con.execute(
        f"SELECT decode(value) FROM parquet_kv_metadata({file_literal(file)}) "
        f"WHERE decode(key) = {literal(LEFT_OUT)}"
    ).fetchall()
    reasons: dict[str, str] = json.loads(rows[0][0]) if rows else {}
    return replace(
        found,
        columns={name: type_ for name, type_ in found.columns.items() if name not in reasons},
        left_out={name: (found.columns.get(name, "VARCHAR"), why) for name, why in reasons.items()},
    )


def left_out_error(why: str, before: str = "") -> SourceChanged:
    """The error for the use of a column that is left out."""
    what, _, fix = why.partition("\n")
    return SourceChanged(f"{before}{what}", fix=fix)


def another_type(error: Exception, what: str = "A source table") -> SourceChanged | None:
    """If a value of a Parquet file does not fit the type that its column has in the first file."""
    found = _ANOTHER_TYPE.search(str(error))
    return found and SourceChanged(
        f"{what} cannot be read: {found['file']} has the column '{found['column']}' as "
        f"{found['there']}, and its values do not fit {found['first']}, which the first file has.",
        fix="Write all files of a table with the same types.",
    )


def damaged_file(name: str, location: str, error: Exception) -> SourceChanged:
    """DuckDB's error about a file, without the line of data that it quotes."""
    if another := another_type(error, f"The source table {name}"):
        return another
    # Followed by the options of the reader, which contain such words, too.
    text = str(error).lower().partition("possible fixes:")[0]
    line = re.search(r"csv error on line: (\d+)", text)
    where = f", line {line[1]}" if line else ""
    what = next(
        (meaning for words, meaning in _DAMAGE.items() if words in text),
        "is empty, damaged, or not in the format that its name says",
    )
    return SourceChanged(
        f"The source table {name} cannot be read: {location}{where} {what}.",
        fix="Export it again: as Parquet, or as CSV in UTF-8 with a header line.",
    )
