"""A Parquet file that a command writes where its user wants it: whole, or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from braze_pipeline import private
from braze_pipeline.errors import UsageError
from braze_pipeline.storage.warehouse import disk_full


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A file to write, which takes the place of ``path`` at the end of the block.

    Raises:
        UsageError: no file can be written there, or it would replace another kind of file, such as
            a database.
    """
    target = path.resolve()  # a link stays one
    draft = target.with_name(target.name + ".draft")
    try:
        if target.exists() and not _may_be_replaced(target):
            raise UsageError(
                f"{path} is not a Parquet file, and is not replaced.",
                fix="Give the name of a new file, or of one that this command wrote.",
            )
        yield private.file(draft)
        os.replace(draft, target)  # noqa: PTH105  (says that it overwrites)
    except OSError as error:
        raise disk_full(error, path) or UsageError(
            f"{path} cannot be written: {error.strerror}.",
            fix="Give a file in a folder that you may write to.",
        ) from error
    finally:
        with suppress(OSError):
            draft.unlink()


def _may_be_replaced(target: Path) -> bool:
    """Whether it is a Parquet file, or an empty one."""
    if not target.is_file():
        return False
    with target.open("rb") as opened:
        return opened.read(4) in {b"PAR1", b""}
