"""Usual files are read, and of others the error says what is wrong with them."""

from __future__ import annotations

import gzip
import re
from datetime import date
from pathlib import Path

import duckdb
import pytest

from braze_pipeline.errors import SourceChanged, SourceMissing
from braze_pipeline.settings import SourceSettings
from braze_pipeline.sources.places.files import locate
from braze_pipeline_tests.unit.sources.conftest import CSV, load


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1,2011-01-01,2,extra ada@example.com\n", "another number of columns"),
        ("1,2011-01-01\n", "another number of columns"),
        ('1,2011-01-01,"ada@example.com\n', "quotation mark"),
    ],
)
def test_broken_csv_is_reported_by_line_without_its_text(
    con: duckdb.DuckDBPyConnection, tmp_path: Path, text: str, message: str
) -> None:
    file = tmp_path / "predictions.csv"
    file.write_text(CSV["predictions"] + "2,2011-01-01,1\n" * 50 + text, encoding="utf-8")
    with pytest.raises(SourceChanged) as caught:
        load(con, "predictions", file)
    assert message in str(caught.value)
    assert "line 53" in str(caught.value)
    assert "ada@" not in str(caught.value)


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_any_usual_delimiter_and_a_byte_order_mark_and_gzip_are_read(
    con: duckdb.DuckDBPyConnection, tmp_path: Path, delimiter: str
) -> None:
    text = "\ufeff" + CSV["predictions"].replace(",", delimiter).replace("\n", "\r\n")
    file = tmp_path / "predictions.csv.gz"
    file.write_bytes(gzip.compress(text.encode()))
    assert load(con, "predictions", file) == [("1", date(2011, 1, 1), 12.5)]


@pytest.mark.parametrize("name", ["A.CSV.GZ", "a.csv.GZ", "a?.csv.gz", "a#1[2].csv.gz"])
def test_a_compressed_csv_is_read_whatever_signs_and_capitals_its_name_has(
    con: duckdb.DuckDBPyConnection, tmp_path: Path, name: str
) -> None:
    text = CSV["predictions"]
    (tmp_path / name).write_bytes(gzip.compress(text.encode()))
    assert load(con, "predictions", tmp_path / name) == [("1", date(2011, 1, 1), 12.5)]
    (tmp_path / f"b{name}").write_bytes(gzip.compress(text.replace("12.5", "13").encode()))
    assert sorted(row[2] for row in load(con, "predictions", tmp_path)) == [12.5, 13.0]


def test_compressed_and_other_files_are_one_table_if_their_names_say_which_are_which(
    con: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    text = CSV["predictions"]
    (tmp_path / "day=1").mkdir()
    (tmp_path / "day=1" / "a.csv.gz").write_bytes(gzip.compress(text.encode()))
    (tmp_path / "B.CSV").write_text(text.replace("12.5", "13"), encoding="utf-8")
    assert sorted(row[2] for row in load(con, "predictions", tmp_path)) == [12.5, 13.0]
    (tmp_path / "c.csv.GZ").write_bytes(gzip.compress(text.encode()))
    with pytest.raises(SourceChanged, match=r"c\.csv\.GZ is not known to be") as caught:
        load(con, "predictions", tmp_path)
    assert "end in .gz" in caught.value.fix


@pytest.mark.parametrize("damage", ["beginning", "middle", "row", "check sum", "length", "bit"])
def test_a_compressed_csv_that_was_cut_off_or_damaged_is_refused(
    con: duckdb.DuckDBPyConnection, tmp_path: Path, damage: str
) -> None:
    rows = [f"{n},2011-01-01,{n * 7919 % 10_007}\n" for n in range(20_000)]
    head = gzip.compress("".join([CSV["predictions"], *rows[:-1]]).encode())
    whole = head + gzip.compress(rows[-1].encode())
    file = tmp_path / "predictions.csv.gz"
    file.write_bytes(whole)
    assert len(load(con, "predictions", file)) == len(rows) + 1
    bit = bytearray(whole)
    bit[len(whole) // 2] ^= 1
    file.write_bytes(
        {
            "beginning": whole[:50],
            "middle": whole[: len(whole) // 2],
            "row": head[:-9],
            "check sum": head[:-8],
            "length": head[:-4],
            "bit": bytes(bit),
        }[damage]
    )
    with pytest.raises(SourceChanged, match="not a whole gzip file"):
        load(con, "predictions", file)
    file.write_bytes(whole + bytes(512))
    with pytest.raises(SourceChanged, match="zeros or something else behind its compressed data"):
        load(con, "predictions", file)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("\ncustomer_id,a\n", "begins with an empty line"),
        ("sep=;\ncustomer_id;a\n", "begins with the line 'sep=;'"),
        ('customer_id,"no\nte"\n1,2\n', "quotation mark that is not closed"),
        ("customer_id,a,A\n1,2,3\n", "several columns with the same name"),
        ("customer_id,a\n".encode("utf-16-le").decode(), "not UTF-8"),
    ],
)
def test_a_csv_without_a_usable_header_is_refused(
    con: duckdb.DuckDBPyConnection, tmp_path: Path, text: str, message: str
) -> None:
    file = tmp_path / "predictions.csv"
    file.write_text(text)
    with pytest.raises(SourceChanged, match=message):
        load(con, "predictions", file)


def test_a_name_in_the_header_may_have_quotation_marks(
    con: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    file = tmp_path / "predictions.csv"
    header = 'customer_id,predicted_on,predicted_clv,5" shoe,"a ""b"", c"\n'
    file.write_text(header + "1,2011-01-01,1,2,3\n", encoding="utf-8")
    load(con, "predictions", file)
    assert con.execute("""SELECT "5"" shoe", "a ""b"", c" FROM predictions""").fetchall() == [
        ("2", "3")
    ]


def test_csv_that_is_not_utf8_is_refused(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    file = tmp_path / "customers.csv"
    file.write_bytes(CSV["customers"].encode("latin-1"))
    with pytest.raises(SourceChanged, match="not UTF-8"):
        load(con, "customers", file)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"1,2011-01-01,1\r\n2,2011-01-01,1\n", "some lines with CR LF and others with LF"),
        (b"1,2011-01-01," + b"x" * 2_100_000 + b"\r\n", "has a line of more than 2 MB"),
        (b'1,2011-01-01,"x\r\n', "line 2 has a quotation mark that is never closed"),
        (b"1,2011-01-01,1,maximum line size\r\n", "line 2 has a row with another number"),
    ],
    ids=["line ends", "long line", "open quote", "columns"],
)
def test_what_is_wrong_with_a_csv_is_named(
    con: duckdb.DuckDBPyConnection, tmp_path: Path, text: bytes, message: str
) -> None:
    file = tmp_path / "predictions.csv"
    file.write_bytes(b"customer_id,predicted_on,predicted_clv\r\n" + text)
    with pytest.raises(SourceChanged, match=message):
        load(con, "predictions", file)


def test_of_a_folder_the_damaged_file_is_named(
    con: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    for damaged in ("a.parquet", "b.parquet"):
        folder = tmp_path / damaged.removesuffix(".parquet")
        folder.mkdir()
        for name in ("a.parquet", "b.parquet"):
            con.execute(
                "COPY (SELECT '1' AS customer_id, DATE '2011-01-01' AS predicted_on, "
                f"1.5::DOUBLE AS predicted_clv) TO '{folder / name}'"
            )
        (folder / damaged).write_bytes(b"")
        with pytest.raises(SourceChanged, match=rf"{folder.name}/{damaged} is empty, damaged"):
            load(con, "predictions", folder)


@pytest.mark.parametrize("kind", ["csv", "parquet"])
@pytest.mark.parametrize(
    "beside",
    [
        *("a.{}.bak", "a.{}.part", ".a.{}.Xk3f9A", ".a.{}", "_temporary/0/a.{}", ".old/a.{}"),
        *("a.{}~", "a.{}.md5", "_SUCCESS", "manifest.json", "notes.docx"),
    ],
)
def test_of_a_folder_only_complete_files_of_the_table_are_read(
    con: duckdb.DuckDBPyConnection, tmp_path: Path, kind: str, beside: str
) -> None:
    # Spark names folders like files.
    for file in (tmp_path / f"2011.{kind}" / f"a.{kind}", tmp_path / beside.format(kind)):
        file.parent.mkdir(parents=True, exist_ok=True)
        con.execute(
            "COPY (SELECT '1' AS customer_id, DATE '2011-01-01' AS predicted_on, "
            f"1.5::DOUBLE AS predicted_clv) TO '{file}' (FORMAT {kind})"
        )
    assert len(load(con, "predictions", tmp_path)) == 1


@pytest.mark.parametrize("name", ["a?b", "a*b", "[a-b]", "a[1]b"])
@pytest.mark.parametrize("below", ["", "predictions.csv", "*.csv"])
def test_the_name_of_a_folder_is_no_pattern_whatever_signs_it_has(
    con: duckdb.DuckDBPyConnection, tmp_path: Path, name: str, below: str
) -> None:
    for folder, amount in ((name, "5"), ("axb", "6"), ("a1b", "6"), ("a", "6")):
        (tmp_path / folder).mkdir()
        text = CSV["predictions"].replace("12.5", amount)
        (tmp_path / folder / "predictions.csv").write_text(text, encoding="utf-8")
    assert load(con, "predictions", tmp_path / name / below) == [("1", date(2011, 1, 1), 5.0)]
    with pytest.raises(SourceMissing, match="there is no file or folder"):
        locate(con, SourceSettings(name="t", path=tmp_path / name / "none.csv"))


@pytest.mark.parametrize(
    "beside",
    [
        *("b.csv.bz2", "b.csv.zst", "b.csv.gzip", "b.CSV.ZIP", "b.csv.2026-01-01", "b.csv (1)"),
        *("b.parquet.gz", "b.txt.gpg", "2011/b.zip", "b.tar.gz"),
    ],
)
@pytest.mark.parametrize("pattern", ["", "**/*"])
def test_a_file_that_may_be_a_part_of_the_table_is_never_left_out_silently(
    con: duckdb.DuckDBPyConnection, tmp_path: Path, beside: str, pattern: str
) -> None:
    (tmp_path / "a.csv").write_text(CSV["predictions"], encoding="utf-8")
    (tmp_path / beside).parent.mkdir(exist_ok=True)
    (tmp_path / beside).write_bytes(b"1")
    with pytest.raises(SourceChanged, match=re.escape(f"{tmp_path / beside} may be a part")):
        load(con, "predictions", tmp_path / pattern)


def test_beside_parquet_only_what_may_be_parquet_is_refused(
    con: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    one = "SELECT '1' AS customer_id, DATE '2011-01-01' AS predicted_on, 1.5 AS predicted_clv"
    con.execute(f"COPY ({one}) TO '{tmp_path / 'a.parquet'}'")
    (tmp_path / "export.csv.zip").write_bytes(b"1")
    assert len(load(con, "predictions", tmp_path)) == 1
    (tmp_path / "b.parquet.gz").write_bytes(b"1")
    with pytest.raises(SourceChanged, match=r"b\.parquet\.gz may be a part of it"):
        load(con, "predictions", tmp_path)


def test_a_partition_may_be_by_a_column_whose_name_begins_with_an_underscore(
    con: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    for day in (1, 2):
        (tmp_path / f"_day={day}").mkdir()
        con.execute(f"COPY (SELECT 'x' AS a) TO '{tmp_path}/_day={day}/part.parquet'")
    found = locate(con, SourceSettings(name="t", path=tmp_path))
    rows = con.execute(f"SELECT _day, a FROM {found.relation} ORDER BY ALL").fetchall()
    assert rows == [(1, "x"), (2, "x")]


@pytest.mark.parametrize(
    ("file", "glob"),
    [
        ("_predictions.csv", "_*.csv"),
        (".predictions.csv", ".pred*"),
        ("_raw/predictions.csv", "_r*/*.csv"),
        ("_raw/predictions.csv", "_raw/*.csv"),
        ("predictions.csv.2026-01-01", "*.csv.2026*"),
        ("predictions.csv.bak", "*.csv.bak"),
    ],
)
def test_a_glob_finds_the_files_that_it_names_and_no_other_hidden_ones(
    con: duckdb.DuckDBPyConnection, tmp_path: Path, file: str, glob: str
) -> None:
    for one in (file, "_temporary/predictions.csv", "_r0/_temporary/predictions.csv"):
        (tmp_path / one).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / one).write_text(CSV["predictions"], encoding="utf-8")
    assert len(load(con, "predictions", tmp_path / glob)) == 1


@pytest.mark.parametrize("pattern", ["", "**/*"])
def test_a_place_without_files_that_count_says_how_many_were_ignored_and_why(
    con: duckdb.DuckDBPyConnection, tmp_path: Path, pattern: str
) -> None:
    for ignored in ("_a.csv", ".b.csv", "c.json"):
        (tmp_path / ignored).write_bytes(b"1")
    with pytest.raises(SourceMissing, match=r"3 ignored.* begin with `_` or a point.* end other"):
        locate(con, SourceSettings(name="t", path=tmp_path / pattern))


def test_a_file_that_is_named_by_itself_may_be_called_as_it_likes(
    con: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    file = tmp_path / "_predictions.csv.2011-01-01"
    file.write_text(CSV["predictions"], encoding="utf-8")
    assert len(load(con, "predictions", file)) == 1


@pytest.mark.parametrize(
    ("shared", "fix"),
    [(True, "Set BRAZE_PIPELINE_SOURCES"), (False, "Deliver it, or correct `sources: orders:")],
)
def test_a_missing_file_is_looked_for_where_the_configuration_places_it(
    con: duckdb.DuckDBPyConnection, tmp_path: Path, shared: bool, fix: str
) -> None:
    source = SourceSettings(name="orders", path=tmp_path / "orders.csv", shared=shared)
    with pytest.raises(SourceMissing) as found:
        locate(con, source)
    assert found.value.fix.startswith(fix)
