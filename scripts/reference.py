"""Writes the generated pages of docs/reference: ``python -m scripts.reference``.

Each page has one owner in the package: the models of ``defs.yaml``, the help of the commands, and
the migrations of what is stored. A test fails when a page is not what this makes of them.
"""

from __future__ import annotations

import re
import sqlite3
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from braze_pipeline.cli.main import cli
from braze_pipeline.config.models import PipelineConfig
from braze_pipeline.storage import migrations
from braze_pipeline.storage.warehouse import Warehouse

FOLDER = Path(__file__).parents[1] / "docs" / "reference"
MIGRATIONS = Path(migrations.__file__).parent
Schema = Mapping[str, Any]

_GENERATED = "<!-- Written by scripts/reference.py; do not edit. -->\n"

_DEFS_YAML = """\
A file has `type: braze_pipeline.BrazeDestination`, and under `attributes:` the keys below. A key in
**bold** is required. `dg check yaml` and `braze-pipeline template check` refuse a key that is not
listed here, and name the nearest one that is. `{{ env.NAME }}` in a value is replaced by the
environment variable, except for secrets.
"""
_COMMANDS = """\
`braze-pipeline COMMAND --help` prints the same. Options of `braze-pipeline` itself go before the
command: `braze-pipeline --config FILE run`.
"""
_TABLES = """\
The DuckDB file has the schemas `ledger` and `records`, and one schema for each template. The
journal, the actions and the limits are SQLite files beside it. What the tables of the ledger are
for is in [ledger.md](../ledger.md#tables). Times are in UTC.

The schema of a template (`braze` for the first template of the destination `braze`) has a table for
each asset, with one set of rows for each day. `profiles` is a view over `profile_rows`, which has a
profile once for all days on which it stands. In the same way `records.rejections` is a view over
`records.profile_rejections`; it has those of plans and sends, too. The columns depend on your
configuration: Dagster shows them in the asset's metadata. `ledger.<destination>_users` depends on
what was sent.
"""


_WORDS = {
    "string": "text",
    "integer": "whole number",
    "number": "number",
    "boolean": "yes or no",
}


def pages() -> dict[str, str]:
    """The text of each page, by file name."""
    return {"defs-yaml.md": defs_yaml(), "commands.md": commands(), "tables.md": tables()}


def _row(*cells: str) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


# defs.yaml


def defs_yaml() -> str:
    """Every key, from the schema that the file is checked against."""
    schema = PipelineConfig.model_json_schema()
    parts = [
        "# Every key of defs.yaml\n",
        _GENERATED,
        _DEFS_YAML,
    ]
    for place, section in sections(schema):
        title = f"`{place}`" if place else "The top level"
        parts += [f"## {title}\n", _plain(str(section.get("description", ""))) + "\n"]
        parts += ["| key | type | default | meaning |", "|---|---|---|---|"]
        required = section.get("required", ())
        for name, field in section["properties"].items():
            shown = f"**`{name}`**" if name in required else f"`{name}`"
            meaning = _plain(field.get("description", ""))
            parts.append(_row(shown, _type(field), _default(field), meaning))
        parts.append("")
    return "\n".join(parts)


def sections(schema: Schema) -> Iterator[tuple[str, Schema]]:
    """Each mapping of the file with its place, in order; a template's overrides only once."""
    seen: set[str] = set()

    def walk(place: str, section: Schema) -> Iterator[tuple[str, Schema]]:
        yield place, section
        for name, field in section["properties"].items():
            for found, mark in _inside(field):
                if found not in seen:
                    seen.add(found)
                    below = _resolved(schema["$defs"][found])
                    if "properties" in below:
                        yield from walk(f"{place}.{name}{mark}".lstrip("."), below)

    yield from walk("", schema)


def _resolved(section: Schema) -> Schema:
    """A section, or the one of several forms that has keys."""
    forms = [form for form in section.get("anyOf", ()) if "properties" in form]
    return forms[0] if forms else section


def _inside(field: Schema) -> Iterator[tuple[str, str]]:
    """The sections that a key holds, each with a mark for how many of them."""
    if "$ref" in field:
        yield field["$ref"].rsplit("/", 1)[-1], ""
    for form in (*field.get("anyOf", ()), *field.get("allOf", ())):
        yield from _inside(form)
    if isinstance(items := field.get("items"), dict):
        yield from ((name, "[]") for name, _ in _inside(items))
    if values := _values(field):
        yield from ((name, ".NAME") for name, _ in _inside(values))


def _values(field: Schema) -> Schema | None:
    """What the values of a mapping with names of one's own are."""
    found = next(iter(field.get("patternProperties", {}).values()), None)
    found = found or field.get("additionalProperties")
    return found if isinstance(found, dict) else None


def _forms(field: Schema) -> list[Schema]:
    """The forms that a value may have, without `null`."""
    inner = [form for one in field.get("anyOf", ()) for form in _forms(one)]
    return inner or ([] if field.get("type") == "null" else [field])


def _type(field: Schema) -> str:
    forms = _forms(field)
    return " or ".join(dict.fromkeys(_one_type(form) for form in forms))


def _one_type(field: Schema) -> str:
    if "enum" in field:
        return " ".join(f"`{choice}`" for choice in field["enum"] if choice)
    if "const" in field:
        return f"`{field['const']}`"
    if "$ref" in field:
        return _named(field["$ref"].rsplit("/", 1)[-1])
    kind = field.get("type")
    if kind == "array":
        items = field.get("items")
        return f"list of {_type(items)}" if items else "list"
    if kind == "object":
        values = _values(field)
        return f"mapping of names to {_type(values)}" if values else "mapping"
    if field.get("format") == "date":
        return "date"
    return _WORDS.get(str(kind), "any value") + _limits(field)


def _named(definition: str) -> str:
    found = PipelineConfig.model_json_schema()["$defs"][definition]
    if "properties" in found:
        return "mapping"
    return " or ".join(
        "mapping" if "properties" in form else _one_type(form)
        for form in found.get("anyOf", [found])
    )


def _limits(field: Schema) -> str:
    low, high = field.get("minimum"), field.get("maximum")
    if field.get("exclusiveMinimum") is not None:
        above = f"more than {field['exclusiveMinimum']:g}"
        return f", {above}" + (f", at most {high:g}" if high is not None else "")
    if low is not None and high is not None:
        return f", {low:g} to {high:,}"
    return f", at least {low:g}" if low is not None else ""


def _default(field: Schema) -> str:
    # A key that may be blank has its default one level below.
    holder: Schema = next((one for one in (field, *field.get("anyOf", ())) if "default" in one), {})
    value = holder.get("default", {})
    if isinstance(value, dict):
        return ""
    shown = {None: "none", True: "true", False: "false", "": "empty"}
    if isinstance(value, list):
        return f"`[{', '.join(map(str, value))}]`"
    if value is None or value == "" or isinstance(value, bool):
        return shown[value]
    return f"`{value}`"


def _plain(text: str) -> str:
    """A docstring in one line, in Markdown."""
    summary = text.split("\n\nAttributes:", maxsplit=1)[0]
    return " ".join(summary.replace("``", "`").split())


# Commands


def commands() -> str:
    """Every command, from its help."""
    parts = [
        "# Every command\n",
        _GENERATED,
        _COMMANDS,
    ]
    for path, command in every_command():
        context = click.Context(command, info_name=path)
        usage = " ".join((path, *command.collect_usage_pieces(context)))
        parts += [f"## {path}\n", f"```text\n{usage}\n```\n", _help(command.help or "") + "\n"]
        options = [
            one for one in command.params if isinstance(one, click.Option) and not one.hidden
        ]
        if options:
            parts += ["| option | meaning |", "|---|---|"]
            parts += [_option(one, context) for one in options]
            parts.append("")
    return "\n".join(parts)


def every_command(
    command: click.Command = cli, path: str = "braze-pipeline"
) -> Iterator[tuple[str, click.Command]]:
    """Each command with its name, groups before what is in them."""
    yield path, command
    if isinstance(command, click.Group):
        for name, inner in command.commands.items():
            yield from every_command(inner, f"{path} {name}")


def _help(text: str) -> str:
    """Help as Markdown: paragraphs, without the marks that keep click from wrapping."""
    return "\n\n".join(
        " ".join(paragraph.replace("\b", "").replace("``", "`").split())
        for paragraph in text.split("\n\n")
    )


def _option(option: click.Option, context: click.Context) -> str:
    names, words = option.get_help_record(context) or ("", "")
    return _row(f"`{' '.join(names.split())}`", " ".join(words.split()))


# What is stored

_TABLE = re.compile(r"^CREATE TABLE (?:IF NOT EXISTS )?([\w.]+) \(", re.MULTILINE)
_RENAMED = re.compile(r"^ALTER TABLE ([\w.]+) RENAME TO (\w+);", re.MULTILINE)
_COMMENT = re.compile(r"^ +(\w+) [^\n]*?-- *(.+)$", re.MULTILINE)


def tables() -> str:
    """Every table with a fixed form, from a database that the migrations made."""
    parts = [
        "# Every table that runs leave behind\n",
        _GENERATED,
        _TABLES,
    ]
    comments = _comments()
    for table, columns in _stored():
        parts += [f"## `{table}`\n", "| column | type | meaning |", "|---|---|---|"]
        parts += [_row(f"`{one}`", type_, comments.get((table, one), "")) for one, type_ in columns]
        parts.append("")
    return "\n".join(parts)


def _stored() -> Iterator[tuple[str, list[tuple[str, str]]]]:
    with tempfile.TemporaryDirectory() as folder:
        warehouse = Warehouse(Path(folder) / "warehouse.duckdb")
        with warehouse.connect() as con:
            rows = con.execute(
                "SELECT schema_name || '.' || table_name, list((column_name, data_type)) "
                "FROM (FROM duckdb_columns() ORDER BY column_index) "
                "WHERE schema_name IN ('ledger', 'records') GROUP BY 1 ORDER BY 1"
            ).fetchall()
        yield from rows
        for schema in (migrations.JOURNAL, migrations.ACTIONS, migrations.LIMITS):
            file = Path(folder) / f"{schema.name}.sqlite"
            with sqlite3.connect(file) as con_:
                schema.upgrade(con_, file)
                names = con_.execute(
                    "SELECT name FROM sqlite_master WHERE type = 'table' "
                    "AND name NOT LIKE 'sqlite_%' ORDER BY name"
                ).fetchall()
                for (name,) in names:
                    columns = con_.execute(f"SELECT name, type FROM pragma_table_info('{name}')")
                    yield f"{schema.name}: {name}", columns.fetchall()
            con_.close()


def _comments() -> dict[tuple[str, str], str]:
    """The comments of the migrations, by table and column."""
    found: dict[tuple[str, str], str] = {}
    for file in sorted(MIGRATIONS.glob("*.sql"), key=lambda one: one.stem.rpartition("_")[::-2]):
        text = file.read_text(encoding="utf-8")
        room = file.stem.rpartition("_")[0]
        starts = [*_TABLE.finditer(text)]
        for start in starts:
            body = text[start.end() : text.find("\n)", start.end())]
            table = start[1] if "." in start[1] else f"{room}: {start[1]}"
            found |= {(table, column): comment for column, comment in _COMMENT.findall(body)}
        for old, new in _RENAMED.findall(text):
            schema, dot, _ = old.rpartition(".")
            before, renamed = (
                (old, f"{schema}.{new}") if dot else (f"{room}: {old}", f"{room}: {new}")
            )
            found |= {(renamed, c): text_ for (t, c), text_ in found.items() if t == before}
    return found


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name, text in pages().items():
        (FOLDER / name).write_text(text, encoding="utf-8")
