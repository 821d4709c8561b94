"""One transaction, in DuckDB or SQLite."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol


class SqlConnection(Protocol):
    """What DuckDB's and SQLite's connections have in common."""

    def execute(self, query: str, parameters: Any = ..., /) -> Any:  # noqa: ANN401 - two libraries
        """Run one statement."""


@contextmanager
def transaction(con: SqlConnection, *, begin: str = "BEGIN") -> Iterator[None]:
    """Everything in the block is written, or nothing."""
    con.execute(begin)
    try:
        yield
    except BaseException:
        con.execute("ROLLBACK")
        raise
    con.execute("COMMIT")
