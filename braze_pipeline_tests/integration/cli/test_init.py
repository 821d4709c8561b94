"""``braze-pipeline init``: what it makes of real tables; Dagster and the loader accept it."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from click.testing import CliRunner

from braze_pipeline.cli.console import guarded
from braze_pipeline.cli.context import project_config, session
from braze_pipeline.cli.demo import stand_in
from braze_pipeline.cli.init import init
from braze_pipeline.errors import ConfigurationError, PipelineError, SourceError, UsageError
from braze_pipeline.settings import TemplateSettings
from braze_pipeline_tests.postgres import postgres

ROOT = Path(__file__).parents[3]

GERMAN = """\
Kunden-Nr;Vorname;E-Mail;Geburtsdatum;Umsatz (12 Monate);Bestellungen;Newsletter Anmeldung;PLZ;Handy
0001;Anna;anna@example.de;13.04.1990;1.234,56;3;ja;01067;+49 171 1234567
0002;Bert;bert@example.de;01.02.1985;12,5;1;nein;80331;
"""


def make(
    folder: Path, text: str | None, *options: str, name: str = "kunden.csv"
) -> TemplateSettings:
    """A project for a CSV file, and its template as a run would load it."""
    if text is not None:
        (folder / name).write_text(text, encoding="utf-8")
        options = ("--from", str(folder / name), *options)
    done = CliRunner().invoke(init, [str(folder / "acme_shop"), *options])
    if isinstance(done.exception, PipelineError):
        raise done.exception
    assert done.exit_code == 0, done.output
    return session(project_config(folder / "acme_shop"), None).template


def sent(t: TemplateSettings) -> dict[str, str]:
    return {attribute.name: attribute.type.value for attribute in t.attributes}


def written(folder: Path, name: str) -> str:
    return (folder / "acme_shop/acme_shop/defs/braze" / name).read_text(encoding="utf-8")


def test_a_german_export_gets_fields_types_and_an_identifier(tmp_path: Path) -> None:
    t = make(tmp_path, "\ufeff" + GERMAN)
    assert sent(t) == {
        "first_name": "string",
        "email": "string",
        "dob": "date",
        "phone": "string",
        "Umsatz (12 Monate)": "float",
        "Bestellungen": "integer",
        "PLZ": "string",
    }
    by_name = {attribute.name: attribute for attribute in t.attributes}
    assert by_name["dob"].date_order == "dmy"
    assert by_name["PLZ"].pii
    assert not by_name["Bestellungen"].pii or by_name["Bestellungen"].pii_undecided
    sql = written(tmp_path, "customer_attributes.sql")
    assert '"Kunden-Nr" AS customer_id' in sql
    with duckdb.connect() as con:
        con.execute(
            f"CREATE VIEW kunden AS FROM read_csv('{tmp_path}/kunden.csv', all_varchar=true)"
        )
        rows = con.execute(f"SELECT customer_id, umsatz_12_monate FROM ({sql})").fetchall()
    assert rows == [("0001", "1234.56"), ("0002", "12.5")]


def test_ids_that_pandas_made_to_numbers_with_a_fraction_are_whole_again(tmp_path: Path) -> None:
    file = tmp_path / "members.parquet"
    pq.write_table(pa.table({"id": [12346.0, None], "orders": [1, 2]}), file)
    make(tmp_path, None, "--from", str(file))
    sql = written(tmp_path, "customer_attributes.sql")
    assert "the ids are DOUBLE in the table" in sql
    with duckdb.connect() as con:
        con.execute(f"CREATE VIEW members AS FROM '{file}'")
        rows = con.execute(f"SELECT customer_id::VARCHAR FROM ({sql})").fetchall()
    assert rows == [("12346",), (None,)]


@pytest.mark.parametrize(
    ("text", "identifier", "remark"),
    [
        ("email,member_id,x\na@x.org,7,1\nb@x.org,8,2\n", "member_id", ""),
        ("email,orders\na@x.org,1\nb@x.org,1\n", "email", "an e-mail address changes"),
        ("customer_id,x\n1,a\n1,b\n", "customer_id", "1 of 2 rows repeat an id"),
        ("customer_id,x\n1,a\n,b\n", "customer_id", "1 of 2 rows have no id"),
        ("colour,code\nred,a1\nred,b2\n", "code", ""),
        ("id,umsatz\n", "id", "no rows yet"),
        ("Level,ID do Jogador\n1,0a\n2,0b\n", '"ID do Jogador"', ""),
        ("pid,day\n1,2026-01-01\n1,2026-01-02\n1,2026-01-02\n", "pid", "2 of 3 rows repeat an id"),
    ],
)
def test_the_identifier_is_guessed_and_marked(
    tmp_path: Path, text: str, identifier: str, remark: str
) -> None:
    make(tmp_path, text)
    sql = written(tmp_path, "customer_attributes.sql")
    assert f"Is it {identifier}?" in sql
    assert f"    {identifier} AS customer_id" in sql or f"    {identifier},\n" in sql
    assert remark in sql


@pytest.mark.parametrize(
    ("header", "sent", "why"),
    [
        ("E-Mail,email", ["email"], "another column is named like 'Email', too"),
        ("L12M Monetary,l12m_monetary", ["L12M Monetary"], "another column is named like"),
        ("n" * 300 + ",other", ["Other"], "The name has 300 characters"),
    ],
    ids=["field", "custom", "long"],
)
def test_a_column_whose_name_cannot_be_used_is_not_sent_and_the_project_loads(
    tmp_path: Path, header: str, sent: list[str], why: str
) -> None:
    t = make(tmp_path, f"id,{header}\n1,a,b\n2,c,d\n")
    assert [attribute.name for attribute in t.attributes] == sent
    assert why in written(tmp_path, "defs.yaml")


@pytest.mark.parametrize(
    ("text", "error", "says"),
    [
        ("", SourceError, "is empty"),
        ("id,newsletter\n1,yes\n", UsageError, "no column to send"),
        ("level,day\n1,1\n1,1\n", UsageError, "no column that identifies a customer"),
        ("id,a,A\n1,2,3\n", SourceError, "several columns with the same name"),
        ('id,a\n1,"x\n', SourceError, "never closed"),
    ],
)
def test_a_table_that_cannot_be_used_is_an_error_and_writes_nothing(
    tmp_path: Path, text: str, error: type[PipelineError], says: str
) -> None:
    with pytest.raises(error, match=says):
        make(tmp_path, text)
    assert not (tmp_path / "acme_shop").exists()


def test_a_file_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no file or folder"):
        make(tmp_path, None, "--from", str(tmp_path / "missing.csv"))
    assert not (tmp_path / "acme_shop").exists()


def test_names_that_braze_would_confuse_load_as_custom_attributes(tmp_path: Path) -> None:
    t = make(tmp_path, "id,phone,Mobile,Location,Created At,group,2nd\n1,+49171123456,x,y,z,a,b\n")
    assert {"phone", "Mobile", "Location", "Created At", "Group"} <= set(sent(t))
    sql = written(tmp_path, "customer_attributes.sql")
    assert '"group" AS value_group' in sql
    assert '"2nd" AS value_2nd' in sql


def test_a_parquet_folder_keeps_its_types(tmp_path: Path) -> None:
    (tmp_path / "members").mkdir()
    with duckdb.connect() as con:
        con.execute(
            "COPY (SELECT 'm' || i AS member_id, i::DECIMAL(9, 2) AS spent, [i::VARCHAR] AS tags, "
            "{'a': i} AS pet, i > 1 AS vip, DATE '2024-01-01' AS since, now() AS seen, "
            "'\\x00'::BLOB AS photo FROM range(3) AS t (i)) "
            f"TO '{tmp_path}/members/part.parquet'"
        )
    t = make(tmp_path, None, "--from", str(tmp_path / "members"))
    assert sent(t) == {
        "Spent": "float",
        "Tags": "array",
        "Pet": "object",
        "Vip": "boolean",
        "Since": "date",
        "Seen": "time",
    }
    assert "# Not sent: photo (bytes)." in written(tmp_path, "defs.yaml")


def test_a_table_of_a_database_is_read_by_its_connection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with postgres() as server:
        server.run(
            "CREATE TABLE people AS SELECT 'p1' AS id, 'a@example.org' AS email, 3 AS orders"
        )
        monkeypatch.setenv("SHOP_URI", server.uri())
        t = make(tmp_path, None, "--from", "postgres:SHOP_URI:public.people")
    assert sent(t) == {"email": "string", "Orders": "integer"}
    assert "warehouse: {type: postgres, uri_env: SHOP_URI}" in written(tmp_path, "defs.yaml")
    assert "SHOP_URI=" in (tmp_path / "acme_shop/.env.example").read_text(encoding="utf-8")
    assert server.uri() not in written(tmp_path, "defs.yaml")


def test_dagster_loads_the_project_without_a_warning(tmp_path: Path) -> None:
    make(tmp_path, GERMAN)
    dagster = Path(sys.executable).with_name("dagster")
    done = subprocess.run(
        [dagster, "definitions", "validate"],
        cwd=tmp_path / "acme_shop",
        env=os.environ | {"PYTHONWARNINGS": "ignore"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr


@pytest.mark.skipif(shutil.which("git") is None, reason="it asks Git")
def test_git_ignores_whatever_has_personal_data_and_nothing_that_the_brand_edits(
    tmp_path: Path,
) -> None:
    make(tmp_path, GERMAN)
    project = tmp_path / "acme_shop"
    for name in (
        *("kunden.csv", "sandbox.log", "plan.parquet", "ledger.parquet.draft", "trial.duckdb"),
        *("trial.duckdb.wal", "trial.journal.sqlite-wal", "exports/users.csv.gz", ".env"),
        *("data/warehouse.duckdb", "data/customers/part-0.parquet", "shop.db", "users.jsonl"),
        *("customers.txt", "exports/users.json", "exports/segment.zip"),
        *("requirements.txt", "acme_shop/data/__init__.py"),
    ):
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_bytes(b"")
    subprocess.run(["git", "init", "-q"], cwd=project, check=True)
    listed = subprocess.run(
        ["git", "ls-files", "--others", "--exclude-standard"],
        cwd=project, check=True, capture_output=True, text=True,
    ).stdout.split()  # fmt: skip
    assert sorted(listed) == [
        *(".dagster_home/dagster.yaml", ".env.example", ".gitignore"),
        *("acme_shop/__init__.py", "acme_shop/data/__init__.py", "acme_shop/definitions.py"),
        *("acme_shop/defs/braze/customer_attributes.sql", "acme_shop/defs/braze/defs.yaml"),
        *("pyproject.toml", "requirements.txt", "tests/test_braze.py", "workspace.yaml"),
    ]


def test_nothing_that_exists_is_overwritten(tmp_path: Path) -> None:
    project = tmp_path / "acme_shop"
    project.mkdir()
    (project / ".gitignore").write_text("mine", encoding="utf-8")
    (project / "pyproject.toml").write_text("[project]\nname = 'mine'\n", encoding="utf-8")
    done = CliRunner().invoke(init, [str(project)])
    assert "Kept, because it exists: .gitignore" in done.output
    assert (project / ".gitignore").read_text(encoding="utf-8") == "mine"
    again = CliRunner().invoke(init, [str(project)])
    assert isinstance(again.exception, ConfigurationError)


def test_an_instance_that_braze_does_not_have_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="EU-99"):
        make(tmp_path, GERMAN, "--instance", "EU-99")
    assert make(tmp_path, GERMAN, "--instance", "EU-02").destination.instance == "EU-02"


def test_the_dagster_settings_are_those_of_this_repository_and_of_its_example(
    tmp_path: Path,
) -> None:
    make(tmp_path, None)
    own, ours, example = (
        yaml.safe_load((folder / ".dagster_home/dagster.yaml").read_text(encoding="utf-8"))
        for folder in (tmp_path / "acme_shop", ROOT, ROOT / "examples/dbt")
    )
    assert own == ours == example


def test_dg_scaffold_writes_what_init_writes(tmp_path: Path) -> None:
    make(tmp_path, GERMAN)
    project = tmp_path / "acme_shop"
    first = {
        file: file.read_bytes()
        for file in (project / "acme_shop/defs/braze").iterdir()
        if file.is_file()
    } | {project / "tests/test_braze.py": (project / "tests/test_braze.py").read_bytes()}
    for file in first:
        file.unlink()
    (project / "acme_shop/defs/braze").rmdir()
    dg = Path(sys.executable).with_name("dg")
    environ = {**os.environ, "PYTHONPATH": str(ROOT), "PATH": f"{dg.parent}:/usr/bin:/bin"}
    for command in (
        ("scaffold", "defs", "braze_pipeline.BrazeDestination", "braze",
         "--from", str(tmp_path / "kunden.csv")),
        ("check", "yaml"),
    ):  # fmt: skip
        done = subprocess.run(
            [dg, *command],
            cwd=project,
            env=environ,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
    assert {file: file.read_bytes() for file in first} == first


def test_the_ui_starts_a_sandbox_that_has_the_brands_users(tmp_path: Path) -> None:
    make(tmp_path, GERMAN)
    config = project_config(tmp_path / "acme_shop")
    with stand_in(session(config, None)) as sandbox:
        assert sandbox.workspace.assume_all


def test_the_project_in_the_working_directory_is_the_default(tmp_path: Path) -> None:
    make(tmp_path, None)
    project = tmp_path / "acme_shop"
    config = project / "acme_shop/defs/braze/defs.yaml"
    assert project_config(project / "tests") == config
    assert project_config(tmp_path) is None
    assert project_config(ROOT / "docs") == ROOT / "braze_pipeline/defs/braze/defs.yaml"
    second = project / "acme_shop/defs/other/defs.yaml"
    second.parent.mkdir()
    second.write_text(config.read_text(encoding="utf-8"), encoding="utf-8")
    with pytest.raises(UsageError, match="several files"):
        project_config(project)


def test_a_place_that_cannot_be_written_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SystemExit) as ended:
        guarded(lambda: init([str(tmp_path / "file" / "brand")], standalone_mode=False))
    said = capsys.readouterr().err
    assert ended.value.code == 2
    assert f"{tmp_path / 'file' / 'brand'}" in said
    assert "Choose a place that you may use" in said
    assert "Unexpected" not in said


@pytest.mark.parametrize(
    ("number", "code", "words"),
    [
        (errno.EACCES, 2, "/their/file cannot be used: Permission denied."),
        (errno.EROFS, 2, "/their/file cannot be used: Read-only file system."),
        (errno.ENOSPC, 4, "The disk that holds /their/file is full"),
    ],
)
def test_what_the_system_refuses_to_a_command_is_an_error_with_the_file(
    number: int, code: int, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def command() -> None:
        raise OSError(number, os.strerror(number), "/their/file")

    with pytest.raises(SystemExit) as ended:
        guarded(command)
    assert ended.value.code == code
    assert words in capsys.readouterr().err
