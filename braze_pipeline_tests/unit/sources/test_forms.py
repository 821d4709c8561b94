"""Every form a source table may have gives the same view."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import duckdb
import pytest

from braze_pipeline.errors import DatabaseLocked, SourceChanged, SourceMissing
from braze_pipeline.settings import SourceSettings
from braze_pipeline.sources import attach_sources, find_source
from braze_pipeline_tests.unit.sources.conftest import CSV

NAMES = ("customers", "orders", "consents", "predictions")


def in_folder(folder: Path) -> tuple[SourceSettings, ...]:
    return tuple(
        SourceSettings(name=name, path=folder, optional=name == "predictions") for name in NAMES
    )


def attach(con: duckdb.DuckDBPyConnection, *sources: SourceSettings) -> None:
    attach_sources(con, sources, time_zone="Europe/London")


def rows(con: duckdb.DuckDBPyConnection, name: str) -> list[tuple[Any, ...]]:
    return con.execute(f"SELECT * FROM {name} ORDER BY ALL").fetchall()


def test_csv_in_a_folder_is_found_and_typed(con: duckdb.DuckDBPyConnection, folder: Path) -> None:
    infos = attach_sources(con, in_folder(folder), time_zone="Europe/London")
    assert [(i.name, i.rows, i.newest) for i in infos] == [
        ("customers", 2, None),
        ("orders", 3, "2011-01-03"),
        ("consents", 2, "2011-01-01"),
        ("predictions", 1, "2011-01-01"),
    ]
    types = dict(infos[1].columns)
    assert (types["ordered_at"], types["quantity"], types["customer_id"]) == (
        "TIMESTAMP",
        "DOUBLE",
        "VARCHAR",
    )
    channels = con.execute("SELECT channel, opted_in FROM consents ORDER BY 1").fetchall()
    assert channels == [("email", True), ("sms", False)]
    assert con.execute("SELECT count(*) FROM orders WHERE customer_id IS NULL").fetchone() == (1,)
    optional = "SELECT count(*) FROM customers WHERE braze_id IS NULL AND language IS NULL"
    assert con.execute(optional).fetchone() == (2,)


@pytest.mark.parametrize("form", ["parquet", "folder", "nested folder", "table", "view"])
def test_each_form_gives_the_view_that_csv_gives(
    con: duckdb.DuckDBPyConnection, folder: Path, tmp_path: Path, form: str
) -> None:
    attach(con, *in_folder(folder))
    wanted = {name: rows(con, name) for name in NAMES}
    other = tmp_path / "other"
    other.mkdir()
    sources = []
    for name in NAMES:
        if form in {"table", "view"}:
            with duckdb.connect(str(other / f"{name}.duckdb")) as db:
                csv = f"read_csv('{folder / name}.csv', all_varchar = {name == 'customers'})"
                db.execute("CREATE SCHEMA shop")
                db.execute(f"CREATE TABLE shop.raw AS SELECT * FROM {csv}")
                db.execute("CREATE VIEW newest AS SELECT * FROM shop.raw")
            sources.append(
                SourceSettings(
                    name=name,
                    database=other / f"{name}.duckdb",
                    relation="shop.raw" if form == "table" else "newest",
                )
            )
            continue
        file = {
            "parquet": other / f"{name}.parquet",
            "folder": other / name / "part-0.parquet",
            "nested folder": other / name / "day=1" / "part-0.parquet",
        }[form]
        file.parent.mkdir(parents=True, exist_ok=True)
        con.execute(f"COPY (SELECT * FROM {name}) TO '{file}' (FORMAT parquet)")
        sources.append(SourceSettings(name=name, path=other))
    with duckdb.connect() as fresh:
        attach(fresh, *sources)
        for name in NAMES:
            found = rows(fresh, name)
            if form == "nested folder":
                found = [row[:-1] for row in found]
            assert found == wanted[name], name


def test_two_tables_of_one_database_share_it(
    con: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    file = tmp_path / "shop.duckdb"
    with duckdb.connect(str(file)) as db:
        db.execute(
            "CREATE TABLE o AS SELECT 'A' AS order_id, 1 AS customer_id, "
            "TIMESTAMP '2011-01-01' AS ordered_at, 'P' AS product_id, "
            "'BAG' AS product_name, 1 AS quantity, 2.5::DECIMAL(9, 2) AS unit_price"
        )
        db.execute("CREATE TABLE p AS SELECT 1 AS customer_id, DATE '2011-01-01' AS predicted_on, "
                   "1.5 AS predicted_clv")  # fmt: skip
    sources = (
        SourceSettings(name="orders", database=file, relation="o"),
        SourceSettings(name="predictions", database=file, relation="main.p"),
    )
    attach(con, *sources)
    attach(con, *sources)
    assert con.execute("SELECT unit_price, customer_id FROM orders").fetchall() == [(2.5, "1")]
    assert con.execute("SELECT predicted_clv FROM predictions").fetchall() == [(1.5,)]


def test_a_relation_of_the_pipelines_own_file_can_be_a_source(tmp_path: Path) -> None:
    file = tmp_path / "warehouse.duckdb"
    with duckdb.connect(str(file)) as con:
        con.execute("CREATE TABLE p AS SELECT 1 AS customer_id, DATE '2011-01-01' AS predicted_on, "
                    "1.5 AS predicted_clv")  # fmt: skip
        attach(con, SourceSettings(name="predictions", database=file, relation="p"))
        assert con.execute("SELECT count(*) FROM predictions").fetchone() == (1,)


def test_a_database_that_another_process_writes_is_named(tmp_path: Path) -> None:
    import subprocess
    import sys

    file = tmp_path / "busy.duckdb"
    script = (
        f"import duckdb; c = duckdb.connect({str(file)!r}); c.execute('CREATE TABLE p (a INT)'); "
        "print('open', flush=True); input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "open\n"
        with duckdb.connect() as con, pytest.raises(DatabaseLocked, match=r"busy\.duckdb"):
            attach(con, SourceSettings(name="predictions", database=file, relation="p"))
        other.communicate("\n")


def test_our_views_come_before_tables_of_the_same_name(
    con: duckdb.DuckDBPyConnection, folder: Path
) -> None:
    con.execute("CREATE TABLE customers AS SELECT 'wrong' AS customer_id")
    attach(con, *in_folder(folder))
    assert con.execute("SELECT min(customer_id) FROM customers").fetchone() == ("1",)


def test_parquet_comes_before_csv_and_csv_before_a_folder(tmp_path: Path) -> None:
    for end in (".csv.gz", ".tsv", ".pq"):
        (tmp_path / f"orders{end}").touch()
        assert find_source(tmp_path, "orders", shared=True) == tmp_path / f"orders{end}"
        assert find_source(tmp_path, "orders") is None
    (tmp_path / "orders").mkdir()
    assert find_source(tmp_path, "orders") == tmp_path / "orders"
    (tmp_path / "orders.csv").touch()
    assert find_source(tmp_path, "orders") == tmp_path / "orders.csv"
    (tmp_path / "orders.parquet").touch()
    assert find_source(tmp_path, "orders") == tmp_path / "orders.parquet"
    assert find_source(tmp_path, "customers", shared=True) is None


def test_a_file_with_the_name_of_the_table_is_one_of_the_files_in_its_folder(
    con: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    for name, row in (("orders.csv.gz", "1"), ("orders_2.csv.gz", "2")):
        (tmp_path / name).write_bytes(gzip.compress(f"number\n{row}\n".encode()))
    attach(con, SourceSettings(name="mine", path=tmp_path))
    assert con.execute("SELECT number FROM mine ORDER BY 1").fetchall() == [("1",), ("2",)]


def test_missing_predictions_are_an_empty_view_even_beside_parquet_files(
    con: duckdb.DuckDBPyConnection, folder: Path
) -> None:
    (folder / "predictions.csv").unlink()
    con.execute(f"COPY (SELECT 1 AS a) TO '{folder}/orders.parquet' (FORMAT parquet)")
    infos = attach_sources(con, in_folder(folder)[3:], time_zone="UTC")
    assert (infos[0].rows, infos[0].newest) == (0, None)
    assert [name for name, _ in infos[0].columns] == [
        "customer_id",
        "predicted_on",
        "predicted_clv",
        "expected_orders",
        "expected_order_value",
        "probability_active",
        "predicted_band",
        "fit_id",
    ]
    assert rows(con, "predictions") == []


@pytest.mark.parametrize("name", NAMES[:3])
def test_a_missing_source_names_the_files_it_looked_for(
    con: duckdb.DuckDBPyConnection, folder: Path, name: str
) -> None:
    (folder / f"{name}.csv").unlink()
    with pytest.raises(SourceMissing) as caught:
        attach(con, *in_folder(folder))
    assert f"{name}.parquet" in str(caught.value)
    assert str(folder) in str(caught.value)
    assert caught.value.exit_code == 2


def test_every_kind_of_missing_place_has_its_own_message(
    con: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    (tmp_path / "orders").mkdir()
    with duckdb.connect(str(tmp_path / "shop.duckdb")) as db:
        db.execute("CREATE TABLE order_lines (a INT)")
    for source, message in (
        (SourceSettings(name="orders", path=tmp_path / "no.csv"), "there is no file or folder"),
        (SourceSettings(name="orders", path=tmp_path), "has no Parquet or CSV file"),
        (SourceSettings(name="orders"), "no place is configured"),
        (
            SourceSettings(name="orders", database=tmp_path / "no.duckdb", relation="o"),
            "there is no database",
        ),
        (
            SourceSettings(name="orders", database=tmp_path / "shop.duckdb", relation="order_line"),
            "Did you mean 'main.order_lines'",
        ),
    ):
        with pytest.raises(SourceMissing, match=message):
            attach(con, source)


def test_files_that_are_not_in_the_format_of_their_name_are_refused(
    con: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    for file in ("orders.parquet", "orders.xlsx", "orders.duckdb"):
        (tmp_path / file).write_bytes(b"\x00 no such thing")
    for source in (
        SourceSettings(name="orders", path=tmp_path / "orders.parquet"),
        SourceSettings(name="orders", path=tmp_path / "orders.xlsx"),
        SourceSettings(name="orders", database=tmp_path / "orders.duckdb", relation="o"),
    ):
        with pytest.raises(SourceChanged, match="cannot be read"):
            attach(con, source)


def test_a_folder_of_files_with_other_columns_is_refused(
    con: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    folder = tmp_path / "predictions"
    folder.mkdir()
    con.execute(f"COPY (SELECT 1 AS customer_id, DATE '2011-01-01' AS predicted_on, 1.5 AS "
                f"predicted_clv) TO '{folder}/a.parquet'")  # fmt: skip
    con.execute(f"COPY (SELECT 1 AS customer_id, DATE '2011-01-01' AS predicted_on, 1.5 AS "
                f"clv) TO '{folder}/b.parquet'")  # fmt: skip
    with pytest.raises(SourceChanged, match=r"no column 'predicted_clv' in .*b\.parquet"):
        attach(con, SourceSettings(name="predictions", path=tmp_path))


def test_a_broken_view_is_reported_in_duckdbs_words(
    con: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    file = tmp_path / "shop.duckdb"
    with duckdb.connect(str(file)) as db:
        db.execute("CREATE TABLE t (a INT); CREATE VIEW v AS SELECT a FROM t; DROP TABLE t")
    with pytest.raises(SourceChanged, match="does not exist"):
        attach(con, SourceSettings(name="orders", database=file, relation="v"))


def test_the_csv_of_the_fixture_is_what_the_design_says() -> None:
    assert set(CSV) == set(NAMES)


@pytest.mark.parametrize("kind", ["csv", "parquet"])
@pytest.mark.parametrize("name", ["customers", "orders", "consents"])
def test_a_source_table_with_a_header_and_no_rows_is_named(
    con: duckdb.DuckDBPyConnection, folder: Path, name: str, kind: str
) -> None:
    file = folder / f"{name}.csv"
    file.write_text(CSV[name].splitlines()[0] + "\n", encoding="utf-8")
    if kind == "parquet":
        con.execute(f"COPY (FROM read_csv('{file}')) TO '{folder / name}.parquet'")
        file.unlink()
    with pytest.raises(SourceChanged) as caught:
        attach(con, *in_folder(folder))
    assert f"The source table {name} ({folder}/{name}.{kind}) has columns and no rows" in str(
        caught.value
    )


def test_predictions_may_have_no_rows(con: duckdb.DuckDBPyConnection, folder: Path) -> None:
    header = CSV["predictions"].splitlines()[0]
    (folder / "predictions.csv").write_text(header + "\n", encoding="utf-8")
    attach(con, *in_folder(folder))
    assert rows(con, "predictions") == []


@pytest.mark.parametrize("files", ["warehouse.snapshots/main-1.parquet", "ledger.parquet"])
def test_files_that_the_pipeline_wrote_are_not_a_source(
    con: duckdb.DuckDBPyConnection, tmp_path: Path, files: str
) -> None:
    ours = tmp_path / files
    ours.parent.mkdir(exist_ok=True)
    con.execute(f"COPY (SELECT 1 AS order_id) TO '{ours}' (FORMAT parquet)")
    (tmp_path / "warehouse.duckdb").touch()
    with pytest.raises(SourceMissing, match="orders"):
        attach(con, SourceSettings(name="orders", path=tmp_path, shared=True))


def test_a_table_whose_folder_holds_the_pipelines_own_files_is_refused(
    con: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    for name in ("orders/part-0.parquet", "orders/warehouse.snapshots/main-1.parquet"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        con.execute(f"COPY (SELECT 1 AS order_id) TO '{tmp_path / name}' (FORMAT parquet)")
    for path in (tmp_path, tmp_path / "orders"):
        with pytest.raises(SourceChanged, match=r"warehouse\.snapshots"):
            attach(con, SourceSettings(name="orders", path=path))
