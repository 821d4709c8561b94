"""How a CSV file is to be read, told by its header line.

DuckDB can guess the form of a CSV file from its first rows, but then a broken row changes the guess
instead of being an error. The header alone decides here.
"""

from __future__ import annotations

import csv
import gzip
from pathlib import Path

from braze_pipeline.errors import SourceChanged
from braze_pipeline.storage.warehouse import literal, name_key

SUFFIXES = frozenset({".csv", ".tsv", ".txt"})

_DELIMITERS = (",", ";", "\t", "|")


def reader(name: str, file: Path) -> str:
    """The call of ``read_csv`` that reads all columns as text.

    A type guessed from the first rows would fail, or change values, at a later one.

    Raises:
        SourceChanged: the file is empty or not UTF-8, or two columns have one name.
    """
    header, delimiter = _header(name, file)
    columns = [column.strip() or f"column{n}" for n, column in enumerate(header)]
    folded = [name_key(column) for column in columns]
    twice = sorted({c for c in columns if folded.count(name_key(c)) > 1})
    if twice:
        raise SourceChanged(
            f"The source table {name} ({file}) has several columns of one name: "
            f"{', '.join(twice)}.",
            fix="Name each column once in the header line.",
        )
    listed = ", ".join(f"{literal(column)}: 'VARCHAR'" for column in columns)
    return (
        f"read_csv({literal(str(file))}, columns = {{{listed}}}, delim = {literal(delimiter)}, "
        "quote = '\"', escape = '\"', header = true, auto_detect = false, null_padding = false, "
        "ignore_errors = false)"
    )


def _header(name: str, file: Path) -> tuple[list[str], str]:
    opener = gzip.open if file.suffix.lower() == ".gz" else open
    try:
        with opener(file, "rt", encoding="utf-8-sig", newline="") as opened:
            line = opened.readline()
    except (UnicodeDecodeError, gzip.BadGzipFile) as error:
        raise SourceChanged(
            f"The source table {name} cannot be read: {file} is not UTF-8.",
            fix="Write it anew as UTF-8, or as Parquet.",
        ) from error
    if not line.strip():
        raise SourceChanged(
            f"The source table {name} cannot be read: {file} is empty.",
            fix="A CSV file has a header line, also when it has no rows.",
        )
    read = [(next(csv.reader([line.rstrip("\r\n")], delimiter=d)), d) for d in _DELIMITERS]
    return max(read, key=lambda one: len(one[0]))
