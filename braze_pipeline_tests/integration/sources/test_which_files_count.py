"""Of an object store, the same files count as of a local folder."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from braze_pipeline.errors import SourceChanged, SourceMissing, SourceUnavailable
from braze_pipeline.settings.places import Files
from braze_pipeline_tests.certificates import certificate
from braze_pipeline_tests.fake_http import FakeHttp, reply
from braze_pipeline_tests.integration.sources.test_failures import attached, fails
from braze_pipeline_tests.object_store import Bucket

TEXT = b"id,note\n1,a\n"


@pytest.mark.parametrize(
    ("file", "path"),
    [
        ("lake/_part.csv", "lake/_*.csv"),
        ("lake/_raw/part.csv", "lake/_r*/*"),
        ("lake/_raw/part.csv", "lake/_raw"),
        ("lake/part.csv.2026-01-01", "lake/*.csv.2026*"),
        ("lake/_day=1/part.csv", "lake"),
    ],
)
def test_hidden_files_count_where_the_path_names_them(
    tmp_path: Path, bucket: Bucket, file: str, path: str
) -> None:
    for one in (file, "lake/_temporary/0/part.csv", "lake/_r0/_temporary/part.csv"):
        bucket.put(one, TEXT)
    ((*row,),) = attached(tmp_path, Files(url=f"s3://brand/{path}"))
    assert row[:2] == ["1", "a"]


@pytest.mark.parametrize("path", ["lake/a.csv.gz", "lake"])
def test_a_compressed_file_of_an_object_store_is_read(
    tmp_path: Path, bucket: Bucket, path: str
) -> None:
    bucket.put("lake/a.csv.gz", gzip.compress(TEXT))
    ((*row,),) = attached(tmp_path, Files(url=f"s3://brand/{path}"))
    assert row == ["1", "a"]


@pytest.mark.parametrize(
    ("key", "path"),
    [
        ("a#1.csv", "a#1.csv"),
        ("a#1/b c.csv", "a#1"),
        ("für 100%.csv", "für 100%.csv"),
        ("a b.csv", "a%20b.csv"),
        ("a?.csv", "a%3F.csv"),
        ("a*.csv", "a%2A.csv"),
    ],
)
def test_a_key_of_an_object_store_may_have_any_signs_and_no_other_file_is_read(
    tmp_path: Path, bucket: Bucket, key: str, path: str
) -> None:
    for other in ("a", "a/b.csv", "ab.csv"):
        bucket.put(other, TEXT.replace(b"1,", b"2,"))
    bucket.put(key, TEXT)
    ((*row,),) = attached(tmp_path, Files(url=f"s3://brand/{path}"))
    assert row == ["1", "a"]


@pytest.mark.parametrize("headers", [{}, {"Content-Encoding": "gzip"}])
def test_a_compressed_file_of_a_web_server_is_read_whatever_it_calls_the_compression(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, headers: dict[str, str]
) -> None:
    trusted, context = certificate(tmp_path)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(trusted))
    packed = gzip.compress(TEXT)
    with FakeHttp(lambda _: reply(200, packed, headers), tls=context) as server:
        address = server.endpoint.replace("http:", "https:")
        ((*row,),) = attached(tmp_path, Files(url=f"{address}/a.csv.gz"))
    assert row == ["1", "a"]


@pytest.mark.parametrize("encrypted", [True, False])
def test_a_web_server_gets_no_password_and_sends_on_to_https_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, encrypted: bool
) -> None:
    trusted, context = certificate(tmp_path)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(trusted))
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login ann password Planted-Pa55word\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    with FakeHttp(lambda _: reply(200, TEXT), tls=context if encrypted else None) as second:
        to = reply(302, b"", {"Location": f"{second.endpoint}/a.csv"})
        with FakeHttp(lambda _: to, tls=context) as first:
            place = Files(url=f"{first.endpoint}/a.csv")
            if encrypted:
                assert attached(tmp_path, place) == [("1", "a")]
            else:
                with fails(tmp_path, SourceUnavailable, "to an address without https"):
                    attached(tmp_path, place)
    assert ["authorization" in one.headers for one in first.requests] == [False]
    assert ["authorization" in one.headers for one in second.requests] == [False] * encrypted


@pytest.mark.parametrize("path", ["lake", "lake/*"])
def test_a_file_that_may_be_a_part_of_the_table_is_never_left_out_silently(
    tmp_path: Path, bucket: Bucket, path: str
) -> None:
    bucket.put("lake/a.csv", TEXT)
    bucket.put("lake/b.csv.bz2", TEXT)
    with fails(tmp_path, SourceChanged, "s3://brand/lake/b.csv.bz2 may be a part of it"):
        attached(tmp_path, Files(url=f"s3://brand/{path}"))


def test_a_place_without_files_that_count_says_how_many_were_ignored(
    tmp_path: Path, bucket: Bucket
) -> None:
    for one in ("lake/_a.csv", "lake/b.csv.bak"):
        bucket.put(one, TEXT)
    with fails(
        tmp_path, SourceMissing, "s3://brand/lake has no Parquet or CSV file that counts: 2"
    ):
        attached(tmp_path, Files(url="s3://brand/lake"))
