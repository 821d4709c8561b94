"""The text of ``defs.yaml`` and of the SQL file, with a comment wherever a person must decide."""

from __future__ import annotations

import string
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from functools import cache
from importlib.resources import files

import yaml

from braze_pipeline.operations.scaffold.names import ANSWERS, contains
from braze_pipeline.operations.scaffold.proposal import Proposal, of_kind
from braze_pipeline.operations.scaffold.table import Table
from braze_pipeline.storage.sql_text import literal

_ONE_LINE = 10**6


class _Text(string.Template):
    """A file with ``%names``; SQL has a use for the dollar sign."""

    delimiter = "%"


def text(template: str, **parts: object) -> str:
    """A file of the folder ``templates``, with its ``%names`` filled in."""
    return _Text(_template(template)).substitute(parts)


@cache
def _template(name: str) -> str:
    folder = files("braze_pipeline.operations.scaffold").joinpath("templates")
    return folder.joinpath(f"{name}.txt").read_text("utf-8")


def defs_yaml(
    table: Table, proposals: Sequence[Proposal], *, name: str, instance: str, start: date
) -> str:
    """The ``defs.yaml`` of a destination."""
    return text(
        "defs.yaml",
        name=name,
        instance=instance,
        start=start.isoformat(),
        table=table.name,
        place=_mapping(table.place),
        connections="".join(_connections(table)),
        consent="".join(_consent(proposals)),
        region="".join(_region(proposals)),
        attributes="".join(f"        {line}\n" for line in _attributes(proposals)).rstrip("\n"),
    )


def sql(table: Table, proposals: Sequence[Proposal]) -> str:
    """The ``customer_attributes.sql`` that goes with it."""
    return text("customer_attributes.sql", table=table.name, columns="\n".join(_select(proposals)))


def _connections(table: Table) -> Iterator[str]:
    if table.connections:
        yield "\n  connections:\n"
    for name, connection in table.connections.items():
        yield f"    {name}: {_mapping(connection)}\n"


def _consent(proposals: Sequence[Proposal]) -> Iterator[str]:
    found = of_kind(proposals, "consent")
    if found:
        names = ", ".join(one.alias for one in found)
        yield "      # To decide: by name and values these columns seem to be consent. Braze owns "
        yield f"consent, so\n      # they are not sent: {names}. They can decide who is in the "
        yield "audience,\n      # "
        condition = next(filter(None, map(_condition, found)), None)
        yield (
            f'such as where: "{condition}".\n'
            if condition
            else ("by `where:` with the value that means yes.\n")
        )


def _condition(consent: Proposal) -> str | None:
    """Who may be contacted, by the words for yes and no that the column has."""
    refuses = contains(consent.column.name, "refusal")
    if consent.column.family == "boolean":
        return f"NOT {consent.alias}" if refuses else consent.alias
    wanted = "no" if refuses else "yes"
    words = [word for word in consent.column.shape.answers if ANSWERS[word] == wanted]
    if not words or not consent.column.shape.yes_no:
        return None
    return f"lower(trim({consent.alias}::VARCHAR)) IN ({', '.join(map(literal, words))})"


def _region(proposals: Sequence[Proposal]) -> Iterator[str]:
    fields = {one.name for one in of_kind(proposals, "field")}
    if "phone" in fields:
        yield "      # To decide: the country of phone numbers without a country code"
        yield ", for customers without a country.\n" if "country" in fields else ".\n"
        yield "      # default_region: GB\n"


def _attributes(proposals: Sequence[Proposal]) -> Iterator[str]:
    for kind, title in (
        ("field", "Profile fields: Braze's own names, types and rules."),
        ("custom", "Custom attributes: your own names. Braze keeps the first type it sees."),
    ):
        chosen = [one for one in proposals if one.kind == kind]
        if chosen:
            yield f"# {title}"
        for one in chosen:
            yield from (f"# To decide: {what}" for what in one.decide)
            line = f"- {_mapping(_keys(one))}"
            yield f"{line}  # {' '.join(one.notes)}" if one.notes else line
    for one in of_kind(proposals, "not sent", "secret"):
        yield f"# Not sent: {one.alias} ({' '.join(one.notes)})."


def _keys(one: Proposal) -> dict[str, object]:
    named = {} if one.name == one.alias else {"as": one.name}
    return {"column": one.alias, **named, **one.options}


def _select(proposals: Sequence[Proposal]) -> Iterator[str]:
    selected = [one for one in proposals if one.kind != "secret"]
    for number, one in enumerate(selected, 1):
        if one.kind == "identifier":
            yield from (f"    -- To decide: {what}" for what in one.decide)
        comma = "," if number < len(selected) else ""
        named = "" if one.expression == one.alias else f" AS {one.alias}"
        yield f"    {one.expression}{named}{comma}"


def _mapping(items: Mapping[str, object]) -> str:
    """As YAML in braces, on one line."""
    return yaml.safe_dump(
        dict(items), default_flow_style=True, sort_keys=False, allow_unicode=True, width=_ONE_LINE
    ).strip()
