"""Files of an object store, copied into a private folder.

They are copied and not streamed as rows, so that the same bytes are read in the same way as local
files are. Credentials come from the usual chain of each provider in the environment.

Sources: Arrow docs, "Filesystem Interface" (URIs, credentials).
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlsplit

from braze_pipeline.errors import (
    PipelineError,
    SourceChanged,
    SourceDenied,
    SourceMissing,
    SourceUnavailable,
)
from braze_pipeline.sources.places.files import no_table_file, table_files
from braze_pipeline.storage.warehouse import resource_errors

if TYPE_CHECKING:
    from braze_pipeline.settings.places import Files

_AT_ONCE: Final = 4
_CHUNK: Final = 1 << 22
_TIMEOUT: Final = (10.0, 60.0)
_OF_ADDRESS: Final = "/:@%!$&'()+,;=[]"
_WILDCARDS: Final = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
_REFUSED: Final = re.compile(
    r"\b(ACCESS_DENIED|INVALID_ACCESS_KEY_ID|SIGNATURE_DOES_NOT_MATCH|PERMISSION_DENIED"
    r"|UNAUTHENTICATED|AuthorizationFailure|AuthenticationFailed)\b|HTTP status 40[13]\b"
)
_NO_BUCKET: Final = re.compile(
    r"\b(NO_SUCH_BUCKET|NoSuchBucket|ContainerNotFound)\b|Bucket '[^']*' not found"
)
"""In what the stores' libraries say. It also has the key of the file, which may hold any digits."""


@dataclass(frozen=True)
class _Remote:
    """A file to copy: its path in the store and below the folder, its size and when it changed."""

    path: str
    below: PurePosixPath
    size: int
    changed: int


def copy(name: str, place: Files, into: Path, *, report: Callable[[int], None]) -> Path:
    """Copy what the URL names, and return the file or folder that holds it.

    Args:
        name: The source table, for messages.
        place: The URL: a file, a folder, or a glob with ``*``, ``?`` and ``**``.
        into: An empty folder.
        report: Called with the bytes copied so far.

    Raises:
        SourceMissing: there is no such file.
        SourceDenied: the credentials of the environment do not give the right to read it.
        SourceUnavailable: the store cannot be reached, or broke off.
        SourceChanged: a file was replaced while it was read.
    """
    with _reported(name, place), resource_errors(into):
        if urlsplit(place.url).scheme == "https":
            return _download(name, place, into, report)
        return _copy(name, place, into, report)


def probe(name: str, place: Files) -> int:
    """How many files the URL names, one of which is opened; raises as ``copy``."""
    with _reported(name, place):
        if urlsplit(place.url).scheme == "https":
            with _answer(name, place):
                return 1
        store, _, files = _listed(name, place)
        with store.open_input_stream(files[0].path) as source:
            source.read(1)
        return len(files)


def _listed(name: str, place: Files) -> tuple[Any, str, list[_Remote]]:
    """The store, the path that the URL begins with, and the files that it names."""
    from pyarrow import fs

    url, _, query = place.url.partition("?") if "?endpoint" in place.url else (place.url, "", "")
    base = _without_glob(url)
    # What follows a # would be left out. A % with two digits is one of an address already.
    address = quote(re.sub(r"%(?![0-9A-Fa-f]{2})", "%25", base), safe=_OF_ADDRESS)
    store, root = fs.FileSystem.from_uri(f"{address}?{query}" if query else address)
    pattern = url[len(base) :].strip("/")
    found = _found(store, root, pattern)
    if [one.path for one in found] == [root]:
        return store, root, found
    chosen = set(table_files(name, base, [one.below for one in found], pattern))
    if not chosen:
        what = no_table_file([one.below for one in found])
        raise SourceMissing(
            f"The source table {name} is not there: {place.url} {what}.",
            fix=f"Correct `sources: {name}: path:` in defs.yaml.",
        )
    return store, root, [one for one in found if one.below in chosen]


def _copy(name: str, place: Files, into: Path, report: Callable[[int], None]) -> Path:
    store, root, files = _listed(name, place)
    done = 0

    def one(file: _Remote) -> int:
        target = into / file.below
        target.parent.mkdir(parents=True, exist_ok=True)
        with (
            store.open_input_stream(file.path, compression=None) as source,
            target.open("wb") as opened,
        ):
            shutil.copyfileobj(source, opened, _CHUNK)
        if target.stat().st_size != file.size:
            raise _changed(name, place)
        return file.size

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for size in pool.map(one, files):
            done += size
            report(done)
    if _listed(name, place)[2] != files:
        raise _changed(name, place)
    return into / files[0].below if len(files) == 1 and files[0].path == root else into


def _without_glob(url: str) -> str:
    """The part of a URL before the first path segment with a wildcard."""
    parts = url.split("/")
    first = next((n for n, part in enumerate(parts) if set(part) & set("*?[")), len(parts))
    return "/".join(parts[:first])


def _found(store: Any, root: str, pattern: str) -> list[_Remote]:  # noqa: ANN401 - any file system
    from pyarrow import fs

    info = store.get_file_info(root)
    if info.type == fs.FileType.File:
        return [_Remote(root, PurePosixPath(PurePosixPath(root).name), info.size, info.mtime_ns)]
    wanted = _regex(pattern) if pattern else re.compile(".*", re.DOTALL)
    listed = store.get_file_info(fs.FileSelector(root, recursive=True, allow_not_found=True))
    files = [
        _Remote(one.path, PurePosixPath(one.path).relative_to(root), one.size, one.mtime_ns)
        for one in listed
        if one.type == fs.FileType.File
    ]
    return sorted(
        (one for one in files if wanted.fullmatch(str(one.below))), key=lambda one: one.path
    )


def _regex(pattern: str) -> re.Pattern[str]:
    parts = re.split(r"(\*\*/|\*\*|\*|\?)", pattern)
    return re.compile("".join(_WILDCARDS.get(part, re.escape(part)) for part in parts))


@contextmanager
def _answer(name: str, place: Files) -> Iterator[Any]:
    import requests

    class Public(requests.Session):
        """Without the passwords that `~/.netrc` has for other programs, also where it sends on."""

        def rebuild_auth(self, prepared_request: object, response: object) -> None:
            """Nothing."""

    with Public() as session:
        del session.adapters["http://"]
        try:
            answer = session.get(
                place.url, stream=True, timeout=_TIMEOUT, auth=lambda request: request
            )
        except requests.exceptions.InvalidSchema as error:
            if "connection adapters" not in str(error):
                raise
            raise _unavailable(name, place, "it sends on to an address without https") from None
    with answer:
        if answer.status_code in {401, 403}:
            raise SourceDenied(
                f"The source table {name} cannot be read: {place.url} answered with status "
                f"{answer.status_code}.",
                fix="An address of https is read without credentials: use one that is public, or "
                "the object store's own (s3://, gs://, abfs://).",
            )
        if answer.status_code == 404:  # noqa: PLR2004 - an HTTP status
            raise SourceMissing(
                f"The source table {name} is not there: {place.url} answered with status 404.",
                fix=f"Correct `sources: {name}: path:` in defs.yaml.",
            )
        answer.raise_for_status()
        yield answer


def _download(name: str, place: Files, into: Path, report: Callable[[int], None]) -> Path:
    target = into / (PurePosixPath(urlsplit(place.url).path).name or name)
    with _answer(name, place) as answer:
        done = 0
        with target.open("wb") as opened:
            # A `.gz` stays one, also from a server that calls that the encoding of the answer.
            decode = target.suffix.lower() != ".gz"
            for chunk in answer.raw.stream(_CHUNK, decode_content=decode):
                opened.write(chunk)
                done += len(chunk)
                report(done)
        wanted = answer.headers.get("Content-Length")
        if wanted and "Content-Encoding" not in answer.headers and done != int(wanted):
            raise _unavailable(name, place, "it broke off")
    return target


@contextmanager
def _reported(name: str, place: Files) -> Iterator[None]:
    """A store's error as ours; its own may quote keys."""
    try:
        yield
    except PipelineError:
        raise
    except ImportError as error:
        raise _unavailable(name, place, f"{error.name} is not installed") from None
    except Exception as error:  # noqa: BLE001 - stores raise what they like
        text = str(error)
        if _REFUSED.search(text):
            raise SourceDenied(
                f"The source table {name} cannot be read: the credentials of the environment do "
                f"not open {place.url}.",
                fix="Set the usual variables of the store (such as AWS_ACCESS_KEY_ID and "
                "AWS_SECRET_ACCESS_KEY), and give that user the right to list and read.",
            ) from None
        if _NO_BUCKET.search(text):
            raise SourceMissing(
                f"The source table {name} is not there: the bucket of {place.url} does not exist.",
                fix=f"Correct `sources: {name}: path:` in defs.yaml.",
            ) from None
        raise _unavailable(name, place, type(error).__name__) from None


def _changed(name: str, place: Files) -> SourceChanged:
    return SourceChanged(
        f"The source table {name} changed while it was read: {place.url}. Nothing of what was read "
        "is used.",
        fix="Run again when what writes it is done.",
    )


def _unavailable(name: str, place: Files, why: str) -> SourceUnavailable:
    return SourceUnavailable(
        f"The source table {name} cannot be read: {place.url} cannot be reached ({why}).",
        fix="Check the address, the network and the region, and whether temporary credentials have "
        "expired; then run again.",
    )
