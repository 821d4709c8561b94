"""Planted people: after good and bad runs, nothing but the data itself names them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from braze_pipeline.sandbox import SANDBOX_API_KEY, FaultKind, Sandbox
from braze_pipeline_tests.small_brand import SmallBrand, small_brand

pytestmark = pytest.mark.e2e

PLANTED = (
    "zebulonia", "quackenbosch", "zeb.planted", "7700900123", "7700 900123", "zugzwangen",
    "1931-07-09", "not-a-mail-of-zeb", "notaphonezeb", "0310-99-77",
)  # fmt: skip
"""What no log, metadata, message or list may contain, ignoring case."""

DATA = {"customer_attributes", "profile_rows", "normalised_values", "braze_users"}
"""Tables that are the data itself."""

PEOPLE = (
    "c900,Zebulonia,Quackenbosch,zeb.planted@example.com,+447700900123,Zugzwangen,GB,1931-07-09,F,\n"
    "c901,Zebulonia,Quackenbosch,not-a-mail-of-zeb,notaphonezeb,Zugzwangen,GB,0310-99-77,F,\n"
    "c902,Zebulonia,Quackenbosch,zeb.plantedb@example.com,07700 900123,Zugzwangen,GB,"
    "1931-07-09,F,\n"
)

EVERYTHING = """        - {column: given_name}
        - {column: surname}
        - {column: phone, region_column: country}
        - {column: city}
        - {column: country}
        - {column: birthdate}
        - {column: city, as: Town Of Mine, type: string, pii: true}
        - {column: email, as: Contact Line, type: string}
        - {column: loud_name, as: Greeting, type: string}
        - {column: has_email, as: Reachable, type: boolean}
"""

MADE_OF_IT = """
    upper(c.surname) || ', ' || c.given_name AS loud_name,
    c.email IS NOT NULL AS has_email,
"""


def plant(brand: SmallBrand, *, restricted: bool = False) -> None:
    """Add three people in the audience, with every profile field."""
    text = brand.config.read_text()
    text = text.replace("        - {column: email}\n", f"        - {{column: email}}\n{EVERYTHING}")
    if restricted:
        text = text.replace(
            "    - name: loyal\n", "    - name: loyal\n      restricted_pii: true\n"
        )
    brand.config.write_text(text)
    sql = brand.folder / "customer_attributes.sql"
    first = "    c.customer_id,\n"
    sql.write_text(sql.read_text().replace(first, f"    c.customer_id,{MADE_OF_IT}"))
    sources = brand.folder / "sources"
    with (sources / "customers.csv").open("a") as file:
        file.write(PEOPLE)
    with (sources / "consents.csv").open("a") as file:
        for user in ("c900", "c901", "c902"):
            file.write(f"{user},email,true,{brand.day(20)} 00:00:00\n")
            file.write(f"{user},sms,true,{brand.day(20)} 00:00:00\n")
    with (sources / "orders.csv").open("a") as file:
        for user in ("c900", "c901", "c902"):
            file.write(f"{user}-1,{user},{brand.day(5)} 10:00:00,p1,Mug,1,500.00\n")


def call(brand: SmallBrand, sandbox: Sandbox, *arguments: str) -> tuple[int, str]:
    done = brand.call(sandbox, *arguments)
    return done.returncode, done.stdout + done.stderr


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(assume_all=True) as running:
        yield running


def found_in(text: str | bytes) -> list[str]:
    content = text.encode() if isinstance(text, str) else text
    return [one for one in (*PLANTED, SANDBOX_API_KEY) if one.lower().encode() in content.lower()]


def files_beside_the_data(brand: SmallBrand) -> Iterator[Path]:
    """Dagster's instance, journal, actions and locks; the DuckDB file is read table by table."""
    for path in sorted(brand.folder.rglob("*")):
        parts = path.relative_to(brand.folder).parts
        data = (
            parts[0] == "sources"
            or "warehouse.snapshots" in parts
            or "warehouse.duckdb" in path.name
        )
        if path.is_file() and not data:
            yield path


def records(brand: SmallBrand) -> dict[str, str]:
    """All of our tables that are not the data itself, as text."""
    with duckdb.connect(str(brand.folder / "warehouse.duckdb"), read_only=True) as con:
        tables = con.execute("SELECT schema_name, table_name FROM duckdb_tables()").fetchall()
        return {
            f"{schema}.{table}": str(con.execute(f'SELECT * FROM "{schema}"."{table}"').fetchall())
            for schema, table in tables
            if table not in DATA
        }


def test_nothing_that_a_run_writes_or_prints_names_a_person_or_the_key(
    tmp_path: Path, sandbox: Sandbox
) -> None:
    brand = small_brand(tmp_path / "brand")
    plant(brand)
    sandbox.refuse("c902", "zeb.plantedb@example.com (phone +447700900123) is not a valid object")
    output = {}
    code, output["run"] = call(brand, sandbox, "run", "--as-of", brand.day(2))
    assert code == 0, output["run"]
    output["its plan"] = call(brand, sandbox, "plan", "--limit", "500")[1]
    for shown in ("Contact Line", "Greeting", "xxxxxxxxx"):
        assert shown in output["its plan"], "the people must have been planned"
    for user in ("c900", "c901"):
        assert sandbox.profile(user), "the people must have been sent, or the test proves nothing"
    sent = sandbox.profile("c900")
    assert sent is not None
    assert sent["email"] == sent["Contact Line"] == "zeb.planted@example.com"
    assert sent["Greeting"] == "QUACKENBOSCH, Zebulonia"
    sandbox.script([FaultKind.UNAUTHORIZED] * 4)
    code, output["failed run"] = call(brand, sandbox, "run", "--as-of", brand.day(1))
    assert code == 3, output["failed run"]
    for name, arguments in {
        "dry run": ("run", "--as-of", brand.day(1), "--dry-run"),
        "json": ("run", "--as-of", brand.day(1), "--dry-run", "--json"),
        "rejections": ("rejections", "--rows"),
        "plan": ("plan", "--limit", "500"),
        "actions": ("actions",),
        "template": ("template", "check", "--as-of", brand.day(1)),
        "doctor": ("doctor",),
    }.items():
        output[name] = call(brand, sandbox, *arguments)[1]
        assert "Traceback" not in output[name]
    assert "c901" in output["rejections"], "the bad values must have been rejected"
    leaks = {name: found_in(text) for name, text in output.items() if found_in(text)}
    leaks |= {
        str(path.relative_to(brand.folder)): found_in(path.read_bytes())
        for path in files_beside_the_data(brand)
        if found_in(path.read_bytes())
    }
    kept = records(brand)
    with duckdb.connect(str(brand.folder / "warehouse.duckdb"), read_only=True) as con:
        held = con.execute("SELECT * FROM ledger.braze_users").fetchall()
    assert {"zebulonia", "7700900123"} <= set(found_in(str(held))), "or the test proves nothing"
    assert {"records.profile_rejections", "records.plans"} <= kept.keys()
    leaks |= {name: found_in(text) for name, text in kept.items() if found_in(text)}
    assert leaks == {}


def test_restricted_personal_data_is_neither_sent_nor_stored_nor_shown(
    tmp_path: Path, sandbox: Sandbox
) -> None:
    brand = small_brand(tmp_path / "brand")
    plant(brand, restricted=True)
    code, output = call(brand, sandbox, "run", "--as-of", brand.day(1))
    assert code == 0, output
    assert sandbox.profile("c900") == {
        "Lifetime Orders": 1, "Lifetime Value": 500.0, "Reachable": True
    }  # fmt: skip
    with duckdb.connect(str(brand.folder / "warehouse.duckdb"), read_only=True) as con:
        tables = con.execute("SELECT schema_name, table_name FROM duckdb_tables()").fetchall()
        held = {
            f"{schema}.{table}"
            for schema, table in tables
            if found_in(str(con.execute(f'SELECT * FROM "{schema}"."{table}"').fetchall()))
        }
    assert {name.split(".")[1] for name in held} <= {"customer_attributes"}
    for path in (brand.folder / "warehouse.snapshots").glob("*.parquet"):
        rows = duckdb.sql(f"SELECT * FROM read_parquet('{path}')").fetchall()
        assert not found_in(str(rows))
    assert not found_in(output)
