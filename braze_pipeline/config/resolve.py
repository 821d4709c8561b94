"""From what the brand wrote to settings: overrides, paths, and the checks a schema cannot make.

Everything wrong is collected and reported at once, each problem with its file, line and key.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from zoneinfo import available_timezones

from pydantic_core import PydanticCustomError

from braze_pipeline.attributes.lineage import Lineage, follow
from braze_pipeline.braze import instances
from braze_pipeline.braze.names import comparison_key
from braze_pipeline.config.attributes import (
    checked_condition,
    personal_columns,
    resolve_attributes,
    resolve_groups,
)
from braze_pipeline.config.contract import check_contract, with_contract
from braze_pipeline.config.models import DestinationConfig, PipelineConfig, TemplateConfig
from braze_pipeline.config.problems import Place, Problems, refuse
from braze_pipeline.config.project import DATABASE_VARIABLE, database_name
from braze_pipeline.config.sources import connection_named, no_connection, resolve_sources
from braze_pipeline.errors import ConfigurationError
from braze_pipeline.profiles.normalise import places
from braze_pipeline.settings import (
    PREDICTIONS,
    DestinationSettings,
    SourceSettings,
    TemplateSettings,
    replace,
)
from braze_pipeline.settings.destination import SendOptions, WorkspaceOptions
from braze_pipeline.settings.places import Connection, Database
from braze_pipeline.settings.project import ProjectSettings
from braze_pipeline.settings.section import merged, values_of
from braze_pipeline.settings.template import RULES, TemplateOptions
from braze_pipeline.sources.dialects import dialect_of
from braze_pipeline.user_input import did_you_mean, read_text
from braze_pipeline.wordlists import meanings

ENDPOINT_VARIABLE = "BRAZE_REST_ENDPOINT"

_SCHEMAS = frozenset({"built", "information_schema", "ledger", "pg_catalog", "records"})
"""Beside those of the templates, with the database that a run attaches."""
_RESERVED_NAMES = _SCHEMAS | {"main", "system", "temp"}
REGIONS = Path(__file__).with_name("regions.txt")


def resolve(
    config: PipelineConfig, *, folder: Path, place: Place, environ: Mapping[str, str]
) -> tuple[TemplateSettings, ...]:
    """The settings of each template, in the order of the file.

    Args:
        config: What the schema accepted.
        folder: The folder that relative paths start from.
        place: Where it was read, for messages.
        environ: The environment (``BRAZE_REST_ENDPOINT``, ``BRAZE_PIPELINE_SOURCES``,
            ``BRAZE_PIPELINE_DATABASE``).

    Raises:
        ConfigurationError: all problems at once, unless the only ones are missing identifiers.
    """
    problems = Problems()
    _check_days(config, problems)
    destination = _destination(config.destination, folder, environ, problems.at("destination"))
    sources = tuple(resolve_sources(config, folder, environ, problems.at("sources")))
    templates = [
        _template(config, index, destination, sources, folder, problems.at("templates", index))
        for index in range(len(config.templates))
    ]
    _check_owners(templates, problems.at("templates"))
    _check_database(templates, environ, problems.at("destination", "name"))
    missing = [problem for problem in problems.found if problem.missing_identifier]
    if len(missing) < len(problems.found):
        refuse(problems.found, place)
    return tuple(
        replace(
            template,
            missing_identifier="\n".join(
                place.describe(one) for one in missing if one.key[:2] == ("templates", index)
            ),
        )
        for index, template in enumerate(templates)
    )


def _check_days(config: PipelineConfig, problems: Problems) -> None:
    if config.time_zone not in available_timezones():
        hint = did_you_mean(config.time_zone, sorted(available_timezones()))
        problems.at("time_zone").add(f"{config.time_zone!r} is not an IANA time zone.{hint}")
    if config.end_date is not None and config.end_date < config.start_date:
        problems.at("end_date").add(
            f"{config.end_date} is before the `start_date`, {config.start_date}: swap them."
        )


def _destination(
    part: DestinationConfig, folder: Path, environ: Mapping[str, str], problems: Problems
) -> DestinationSettings:
    """The destination before a template overrides any of it."""
    if part.name in _RESERVED_NAMES:
        problems.at("name").add(f"{part.name!r} is reserved for the pipeline's own tables.")
    if part.instance and part.rest_endpoint:
        problems.at("rest_endpoint").add("Give either `instance` or `rest_endpoint`, not both.")
    known = part.known_users
    if known.file:
        if known.source != "list":
            problems.at("known_users", "file").add(
                "Only `source: list` reads a file. Add it, or remove this key."
            )
        known = replace(known, file=folder / known.file)
    elif known.source == "list":
        problems.at("known_users").add("`source: list` needs `file`.")
    override = environ.get(ENDPOINT_VARIABLE, "").strip()
    changed = {"known_users": known, "instance": None if override else part.instance}
    return DestinationSettings(
        **values_of(part, WorkspaceOptions) | values_of(part, SendOptions) | changed,
        endpoint=_endpoint(part, override, problems),
    )


def _endpoint(part: DestinationConfig, override: str, problems: Problems) -> str:
    """The REST endpoint; empty if there is none that can be used."""
    named, url = "`rest_endpoint`", part.rest_endpoint
    if override:
        named, url = f"the environment variable {ENDPOINT_VARIABLE}", override
    try:
        if url:
            allow = part.allow_other_host
            return instances.validate_endpoint(url, named=named, allow_other_host=allow)
        if part.instance:
            return instances.endpoint_for(part.instance)
    except ConfigurationError as error:
        problems.at("rest_endpoint" if part.rest_endpoint else "instance").add_error(error)
    else:
        problems.add(
            "`instance` is missing: the Braze instance, such as US-01 "
            f"(or `rest_endpoint`, or the environment variable {ENDPOINT_VARIABLE})."
        )
    return ""


def _template(
    config: PipelineConfig,
    index: int,
    destination: DestinationSettings,
    sources: tuple[SourceSettings, ...],
    folder: Path,
    problems: Problems,
) -> TemplateSettings:
    part = config.templates[index]
    if part.name in {other.name for other in config.templates[:index]}:
        problems.at("name").add(f"Two templates are named {part.name!r}.")
    run_in = _connection(part, config, problems.at("run_in"))
    _check_audience(part, run_in, problems.at("audience"))
    _check_region(part.default_region, problems.at("default_region"))
    destination = _overridden(destination, part, config.destination, problems)
    sql = folder / part.attributes_sql
    text = _read_sql(sql, problems.at("attributes_sql"))
    predicts = _predicts(config, text, run_in, problems.at("run_in"))
    personal = tuple(
        column
        for other in config.templates
        if other.attributes_sql == part.attributes_sql
        for column in personal_columns(other)
    )
    resolved = resolve_attributes(
        part,
        destination,
        problems,
        zone=config.time_zone if config.time_zone in available_timezones() else "UTC",
        personal_columns=personal,
        lineage=follow(text, dialect=dialect_of(run_in).name) if part.restricted_pii else Lineage(),
    )
    # Tables and assets of the first template, and of the destination `braze`, have plain names.
    own = () if index == 0 else (part.name,)
    return TemplateSettings(
        **values_of(part, TemplateOptions),
        **values_of(config, ProjectSettings),
        **resolved._asdict(),
        destination=destination,
        db_schema="__".join((destination.name, *own)),
        key_prefix=own if destination.name == "braze" else (destination.name, *own),
        attributes_sql=sql,
        folder=folder,
        run_in=run_in,
        predicts=predicts,
        sources=tuple(
            s
            for s in sources
            if _is_read(s, config, text, run_in) or (predicts and s.name == "orders")
        ),
        personal_columns=personal,
        groups=resolve_groups(part, destination, resolved, run_in, problems.at("recipient_groups")),
        owners=config.destination.owners,
    )


def _connection(
    part: TemplateConfig, config: PipelineConfig, problems: Problems
) -> Connection | None:
    """Where the template's SQL runs, if not in DuckDB."""
    if part.run_in is None:
        return None
    found = connection_named(part.run_in, config)
    if found is None:
        problems.add(no_connection(part.run_in, config))
    return found


def _is_read(
    source: SourceSettings, config: PipelineConfig, sql: str, run_in: Connection | None
) -> bool:
    """Whether a template's SQL may read a source.

    A warehouse sees its own tables alone, under its own names: which of the sources these are, only
    their connection says.
    """
    if run_in is not None:
        return isinstance(source.place, Database) and source.place.connection == run_in
    return source.name in config.sources or _mentions(sql, source.name)


def _predicts(
    config: PipelineConfig, sql: str, run_in: Connection | None, problems: Problems
) -> bool:
    """Whether the predictions that a template's SQL reads are computed."""
    wanted = config.predicted_value is not None and _mentions(sql, PREDICTIONS)
    if not wanted or PREDICTIONS in config.sources:
        return False
    if run_in is not None:
        problems.add(
            f"The SQL runs in {run_in.name} and reads `predictions`, and `predicted_value` "
            "computes them here, where that database does not see them. Name your own table there "
            "under `sources: predictions`, or remove `predicted_value`."
        )
    return run_in is None


def _mentions(sql: str, table: str) -> bool:
    """Whether the SQL may read a table. The SQL itself is parsed only when it is run."""
    return re.search(rf"\b{table}\b", sql, re.IGNORECASE) is not None


def _overridden(
    destination: DestinationSettings,
    part: TemplateConfig,
    base: DestinationConfig,
    problems: Problems,
) -> DestinationSettings:
    """The destination with what the template says itself."""
    identifier = part.user_identifier or base.user_identifier
    if identifier is None:
        problems.add(
            "`user_identifier` is missing: external_id (recommended) or braze_id. "
            "Put it under `destination`, or here for this template alone.",
            missing_identifier=True,
        )
    written = part.model_fields_set & SendOptions.model_fields.keys()
    destination = replace(
        merged(destination, part, written),
        identifier=identifier or "external_id",
        sends_to=part.endpoint or base.endpoint,
    )
    try:
        check_contract(base.contract, destination.rate_limit, base.pricing)
    except PydanticCustomError as error:
        problems.at("rate_limit").add(error.message())
    limit_given = "requests" in destination.rate_limit.model_fields_set
    return with_contract(destination, limit_given=limit_given)


def _read_sql(file: Path, problems: Problems) -> str:
    """The text of the template's SQL; empty if it cannot be read."""
    try:
        return read_text(file)
    except ConfigurationError as error:
        problems.add_error(error)
        return ""


def _check_region(region: str | None, problems: Problems) -> None:
    """National phone numbers are read by the numbering plan of a country that has one."""
    if region is not None and region not in meanings(REGIONS):
        meant = places.country(region).value or "GB"
        problems.add(
            f"{region!r} is not the code of a country with phone numbers (ISO 3166-1 alpha-2), "
            f"such as {meant}."
        )


def _check_audience(part: TemplateConfig, run_in: Connection | None, problems: Problems) -> None:
    rules = part.audience.high_value
    if part.audience.where:
        try:
            checked_condition(part.audience.where, run_in)
        except ConfigurationError as error:
            problems.at("where").add_error(error)
    for rule in RULES:
        if rule in part.audience.model_fields_set and rule not in part.audience.rules:
            problems.at(rule).add(
                "`rules` does not name this rule, so it would have no effect. Name it there, or "
                "remove this key."
            )
    nothing = rules.lifetime_value is rules.top_percent is rules.predicted_value is None
    if nothing and "high_value" in part.audience.names:
        problems.at("high_value").add(
            "At least one of lifetime_value, top_percent and predicted_value is needed "
            "(`lifetime_value: 0` includes everyone with an order)."
        )


def _check_owners(templates: list[TemplateSettings], problems: Problems) -> None:
    """One attribute of a workspace has one owner: two templates would overwrite each other."""
    owner: dict[str, tuple[str, str]] = {}
    for index, template in enumerate(templates):
        for attribute in template.attributes:
            here = (template.name, attribute.name)
            first, name = owner.setdefault(comparison_key(attribute.name), here)
            if first != template.name:
                problems.at(index, "attributes").add(
                    f"{attribute.name!r} is already sent by the template {first!r} as {name!r}. "
                    "Only one template of a destination may send an attribute: two would overwrite "
                    "each other every night, or fill two attributes that differ only in spelling."
                )


def _check_database(
    templates: list[TemplateSettings], environ: Mapping[str, str], problems: Problems
) -> None:
    """DuckDB cannot tell a database from a schema of the same name."""
    name = database_name(environ)
    if name.casefold() in _SCHEMAS.union(template.db_schema for template in templates):
        problems.add(
            f"The database file and a schema in it would both be named {name!r}, and DuckDB cannot "
            f"tell them apart. Name the file otherwise in {DATABASE_VARIABLE}, such as "
            "warehouse.duckdb."
            if environ.get(DATABASE_VARIABLE)
            else f"The database file is named {name!r} too, and DuckDB cannot tell them apart. Use "
            f"another name, or set {DATABASE_VARIABLE} to a file with another name."
        )
