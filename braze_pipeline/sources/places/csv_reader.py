"""How to read a CSV file, as decided by its header line.

DuckDB can guess the format of a CSV file from its first rows, but then a broken row changes the
guess instead of being an error. Here the header alone decides, and every column is text.
"""

from __future__ import annotations

import csv
import gzip
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from braze_pipeline.errors import SourceChanged
from braze_pipeline.storage.sql_text import file_literal, literal, name_key

SUFFIXES = (".csv", ".tsv", ".txt")

_DELIMITERS = (",", ";", "\t", "|")
_CHUNK: Final = 1 << 20
_NOT_WHOLE: Final = "is not a whole gzip file: it was cut off, or it is damaged or not compressed"
_NOT_UTF8: Final = "Export it again as UTF-8, or as Parquet."
_COPY_AGAIN: Final = "Copy it again, or export it again. Nothing of it was used."


def relation(what: str, files: Sequence[Path]) -> str:
    """The call of ``read_csv`` that reads all columns as text.

    ``what`` is the table, as a message names it.

    Types guessed from the first rows would fail at a later row, or change its values.

    Raises:
        SourceChanged: a file is empty, cut off or not UTF-8, two columns have the same name, or the
            files have different headers.
    """
    file, *others = files
    header, delimiter = _header(what, file)
    for other in others:
        if _header(what, other) != (header, delimiter):
            raise _unreadable(
                what,
                f"the header of {other} is not that of {file}",
                fix="Write all files of a table with the same columns, in the same order.",
            )
    columns = [column.strip() or f"column{n}" for n, column in enumerate(header)]
    keys = [name_key(column) for column in columns]
    repeated = sorted({c for c in columns if keys.count(name_key(c)) > 1})
    if repeated:
        raise SourceChanged(
            f"{what} ({file}) has several columns with the same name: {', '.join(repeated)}.",
            fix="Name each column once in the header line.",
        )
    listed = ", ".join(f"{literal(column)}: 'VARCHAR'" for column in columns)
    return (
        f"read_csv([{', '.join(map(file_literal, files))}], "
        f"compression = '{_compression(what, files)}', columns = {{{listed}}}, "
        f"delim = {literal(delimiter)}, quote = '\"', escape = '\"', header = true, "
        "auto_detect = false, null_padding = false, ignore_errors = false)"
    )


def _compression(what: str, files: Sequence[Path]) -> str:
    """As ``read_csv`` takes it. DuckDB by itself looks for ``.gz``, not behind a question mark."""
    packed = [file for file in files if _is_packed(file)]
    if len(packed) in {0, len(files)}:
        return "gzip" if packed else "none"
    for file in packed:
        if file.suffix != ".gz" or "?" in str(file):
            raise _unreadable(
                what,
                f"beside files that are not compressed, {file} is not known to be",
                fix="Let its name end in .gz, without a question mark in its path.",
            )
    return "auto"


def _is_packed(file: Path) -> bool:
    return file.suffix.lower() == ".gz"


def _header(what: str, file: Path) -> tuple[list[str], str]:
    packed = _is_packed(file)
    if packed and not _is_whole_gzip(file):
        raise _unreadable(what, f"{file} {_NOT_WHOLE}", fix=_COPY_AGAIN)
    opener = gzip.open if packed else open
    try:
        with opener(file, "rt", encoding="utf-8-sig", newline="") as opened:
            line = opened.readline()
    except UnicodeDecodeError as error:
        raise _unreadable(what, f"{file} is not UTF-8", fix=_NOT_UTF8) from error
    if "\0" in line:  # UTF-16 without a mark at its beginning
        raise _unreadable(what, f"{file} is not UTF-8", fix=_NOT_UTF8)
    if not line.strip():
        raise _unreadable(
            what,
            f"{file} {'begins with an empty line' if line else 'is empty'}",
            fix="A CSV file begins with its header line, even when it has no rows.",
        )
    if line.lower().startswith("sep=") and len(line.strip()) <= len("sep=;"):
        raise _unreadable(
            what,
            f"{file} begins with the line {line.strip()!r}, which is for Excel",
            fix="Remove this line: the header line comes first, and shows what separates columns.",
        )
    read = [(next(csv.reader([line.rstrip("\r\n")], delimiter=d)), d) for d in _DELIMITERS]
    names, delimiter = max(read, key=lambda one: len(one[0]))
    try:
        next(csv.reader([line.rstrip("\r\n")], delimiter=delimiter, strict=True))
    except csv.Error as error:
        raise _unreadable(
            what,
            f"the header line of {file} has a quotation mark that is not closed in it, or text "
            "after a closing one",
            fix="Rename the column: a name in the header has no line break.",
        ) from error
    return names, delimiter


def _is_whole_gzip(file: Path) -> bool:
    """Whether a compressed file can be read to its end.

    DuckDB takes one that was cut off for a shorter table.
    """
    try:
        with gzip.open(file) as opened:
            while opened.read(_CHUNK):
                pass
    except (EOFError, zlib.error, gzip.BadGzipFile):
        return False
    return True


def _unreadable(what: str, why: str, *, fix: str) -> SourceChanged:
    return SourceChanged(f"{what} cannot be read: {why}.", fix=fix)
