"""From what the brand wrote to settings: inheritance, defaults, and what a schema cannot say.

Everything wrong is collected and told at once, each with its file, line and key.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from zoneinfo import available_timezones

from braze_pipeline.attributes.lineage import Lineage, follow
from braze_pipeline.braze import instances
from braze_pipeline.config.attributes import (
    personal_columns,
    resolve_attributes,
    resolve_groups,
)
from braze_pipeline.config.models import (
    DestinationPart,
    PipelineConfig,
    TemplatePart,
)
from braze_pipeline.config.problems import Key, Place, Problem, refuse
from braze_pipeline.config.sources import resolve_sources
from braze_pipeline.errors import ConfigurationError
from braze_pipeline.profiles.normalise import places
from braze_pipeline.settings import (
    AlertSettings,
    AudienceRules,
    DestinationSettings,
    Guards,
    KnownUsers,
    Pricing,
    RateLimit,
    ScheduleSettings,
    SourceChecks,
    SourceSettings,
    TemplateSettings,
)
from braze_pipeline.user_input import did_you_mean, parse_date, read_text
from braze_pipeline.wordlists import meanings

ENDPOINT_VARIABLE = "BRAZE_REST_ENDPOINT"

_RESERVED_NAMES = frozenset({"ledger", "records", "main", "temp", "information_schema"})
REGIONS = Path(__file__).with_name("regions.txt")


def resolve(
    config: PipelineConfig, *, folder: Path, place: Place, environ: Mapping[str, str]
) -> tuple[TemplateSettings, ...]:
    """The settings of each template, in the order of the file.

    Args:
        config: What the schema accepted.
        folder: The folder that relative paths start from.
        place: Where it was read, for messages.
        environ: The environment (``BRAZE_REST_ENDPOINT``, ``BRAZE_PIPELINE_SOURCES``).

    Raises:
        ConfigurationError: all problems at once, unless a missing identifier is all that there is.
    """
    problems: list[Problem] = []
    if config.time_zone not in available_timezones():
        hint = did_you_mean(config.time_zone, sorted(available_timezones()))
        problems.append(
            Problem(("time_zone",), f"{config.time_zone!r} is no IANA time zone.{hint}")
        )
    problems += _destination_problems(config.destination, environ)
    days = _days(config, problems)
    sources = resolve_sources(config, folder, environ, problems)
    templates = tuple(
        _template(
            config,
            index,
            sources=sources,
            days=days,
            folder=folder,
            environ=environ,
            problems=problems,
        )
        for index in range(len(config.templates))
    )
    problems += _overlaps(templates)
    missing = [problem for problem in problems if problem.missing_identifier]
    if len(missing) < len(problems):
        refuse(problems, place)
    return tuple(
        replace(t, missing_identifier="\n".join(map(place.describe, _of_template(missing, index))))
        for index, t in enumerate(templates)
    )


def _of_template(problems: Sequence[Problem], index: int) -> list[Problem]:
    return [problem for problem in problems if problem.key[:2] == ("templates", index)]


def _days(config: PipelineConfig, problems: list[Problem]) -> tuple[date, date | None]:
    """The first and the last day that can be materialized."""
    first = _day(config.start_date, "start_date", problems)
    if config.end_date is None:
        return first, None
    last = _day(config.end_date, "end_date", problems)
    if last < first:
        problems.append(
            Problem(("end_date",), f"{last} is before the `start_date`, {first}: swap them.")
        )
    return first, last


def _day(text: str, key: str, problems: list[Problem]) -> date:
    try:
        return parse_date(text)
    except ValueError:
        problems.append(Problem((key,), f"{text!r} is not a valid date."))
        return date.max if key == "end_date" else date.min


def _destination_problems(part: DestinationPart, environ: Mapping[str, str]) -> list[Problem]:
    problems = []
    if part.name in _RESERVED_NAMES:
        problems.append(
            Problem(("destination", "name"), f"{part.name!r} is used by our own tables.")
        )
    if part.instance and part.rest_endpoint:
        problems.append(
            Problem(("destination", "rest_endpoint"), "Give `instance` or this, not both.")
        )
    key = "rest_endpoint" if part.rest_endpoint else "instance"
    try:
        endpoint = _endpoint(part, environ)
    except ConfigurationError as error:
        problems.append(Problem(("destination", key), f"{error.what} {error.fix}"))
    else:
        if not endpoint:
            problems.append(
                Problem(
                    ("destination",),
                    "`instance` is missing: the Braze instance, such as US-01 "
                    "(or `rest_endpoint`, or the environment variable BRAZE_REST_ENDPOINT).",
                )
            )
    return problems


def _endpoint(part: DestinationPart, environ: Mapping[str, str]) -> str:
    override = environ.get(ENDPOINT_VARIABLE, "").strip()
    if override:
        named, url = f"the environment variable {ENDPOINT_VARIABLE}", override
    elif part.rest_endpoint:
        named, url = "`rest_endpoint`", part.rest_endpoint
    else:
        return instances.endpoint_for(part.instance) if part.instance else ""
    return instances.validate_endpoint(url, named=named, allow_other_host=part.allow_other_host)


def _template(
    config: PipelineConfig,
    index: int,
    *,
    sources: tuple[SourceSettings, ...],
    days: tuple[date, date | None],
    folder: Path,
    environ: Mapping[str, str],
    problems: list[Problem],
) -> TemplateSettings:
    part = config.templates[index]
    key = ("templates", index)
    destination = _destination(config, part, index, folder, environ, problems)
    sql = folder / part.attributes_sql
    text = _sql(sql, (*key, "attributes_sql"), problems)
    personal = tuple(
        column
        for other in config.templates
        if other.attributes_sql == part.attributes_sql
        for column in personal_columns(other)
    )
    attributes, dropped, withheld, identifier = resolve_attributes(
        part,
        key,
        destination,
        problems,
        zone=config.time_zone if config.time_zone in available_timezones() else "UTC",
        personal_columns=personal,
        lineage=follow(text) if part.restricted_pii else Lineage(),
    )
    prefix = _prefix(config, index)
    if config.templates.index(part) != index or part.name in {
        other.name for other in config.templates[:index]
    }:
        problems.append(Problem((*key, "name"), f"Two templates are named {part.name!r}."))
    return TemplateSettings(
        name=part.name,
        description=part.description,
        kind=part.kind,
        destination=destination,
        schema="__".join((config.destination.name, *([part.name] if index else []))),
        key_prefix=prefix,
        attributes_sql=sql,
        folder=folder,
        sources=sources,
        audience=_audience(part, key, problems),
        attributes=attributes,
        identifier_column=identifier,
        dropped=dropped,
        withheld=withheld,
        personal_columns=personal,
        groups=resolve_groups(part, key, destination, attributes, withheld, problems),
        restricted_pii=part.restricted_pii,
        guards=Guards(**part.guards.model_dump()),
        time_zone=config.time_zone,
        first_day=days[0],
        last_day=days[1],
        history_days=config.history_days,
        default_region=_region(part, key, problems),
        owners=config.destination.owners,
        schedule=ScheduleSettings(**config.schedule.model_dump()) if config.schedule else None,
        alerts=AlertSettings(**config.alerts.model_dump()),
        source_checks=SourceChecks(**config.source_checks.model_dump()),
    )


def _sql(file: Path, key: Key, problems: list[Problem]) -> str:
    """The text of the template's SQL; empty where it cannot be read."""
    if not file.is_file():
        problems.append(Problem(key, f"There is no file {file}."))
        return ""
    try:
        return read_text(file)
    except ConfigurationError as error:
        problems.append(Problem(key, f"{error.what} {error.fix}"))
        return ""


def _region(part: TemplatePart, key: tuple[str | int, ...], problems: list[Problem]) -> str | None:
    """The country whose numbering plan reads national phone numbers: one that there is."""
    region = part.default_region
    if region is not None and region not in meanings(REGIONS):
        meant = places.country(region).value or "GB"
        problems.append(
            Problem(
                (*key, "default_region"),
                f"{region!r} is not the code of a country with phone numbers (ISO 3166-1 alpha-2), "
                f"such as {meant}.",
            )
        )
    return region


def _prefix(config: PipelineConfig, index: int) -> tuple[str, ...]:
    """Asset keys of the first template of the destination ``braze`` have no prefix."""
    own = () if config.destination.name == "braze" else (config.destination.name,)
    return own if index == 0 else (*own, config.templates[index].name)


def _audience(
    part: TemplatePart, key: tuple[str | int, ...], problems: list[Problem]
) -> AudienceRules:
    value = part.audience.high_value
    if value.lifetime_value is None and value.top_percent is None and value.predicted_value is None:
        problems.append(
            Problem(
                (*key, "audience", "high_value"),
                "At least one of lifetime_value, top_percent, predicted_value is needed "
                "(lifetime_value: 0 lets everyone with an order through).",
            )
        )
    return AudienceRules(
        min_lifetime_value=value.lifetime_value,
        top_percent=value.top_percent,
        min_predicted_value=value.predicted_value,
        active_within_days=part.audience.active.within_days,
        channels=tuple(part.audience.contactable.by),
    )


def _destination(
    config: PipelineConfig,
    part: TemplatePart,
    index: int,
    folder: Path,
    environ: Mapping[str, str],
    problems: list[Problem],
) -> DestinationSettings:
    """The destination's settings with the template's overrides."""
    base = config.destination
    identifier = part.user_identifier or base.user_identifier
    if identifier is None:
        problems.append(
            Problem(
                ("templates", index),
                "`user_identifier` is missing: external_id (recommended) or braze_id. "
                "Put it under `destination`, or here for this template alone.",
                missing_identifier=True,
            )
        )
    try:
        endpoint = _endpoint(base, environ)
    except ConfigurationError:
        endpoint = ""  # told once, at the destination
    known = base.known_users
    if known and known.source == "list" and not known.file:
        problems.append(Problem(("destination", "known_users"), "`source: list` needs `file`."))
    rate = part.rate_limit or base.rate_limit
    chosen = {
        "update_only": _first(part.update_only, base.update_only),
        "objects_per_request": part.objects_per_request or base.objects_per_request,
        "max_body_bytes": part.max_body_bytes or base.max_body_bytes,
        "read_back_users": _first(part.read_back_users, base.read_back_users),
        **{name: getattr(base, name) for name in _AS_GIVEN},
        "rate_limit": RateLimit(**rate.model_dump()) if rate else None,
        "pricing": Pricing(**base.pricing.model_dump()) if base.pricing else None,
        "known_users": _known(base, folder),
    }
    return DestinationSettings(
        name=base.name,
        endpoint=endpoint,
        instance=None if environ.get(ENDPOINT_VARIABLE) else base.instance,
        description=base.description,
        api_key_env=base.api_key_env,
        identifier=identifier or "external_id",
        **{name: value for name, value in chosen.items() if value is not None},
    )


_AS_GIVEN = (
    "preflight", "max_in_flight", "connect_timeout", "read_timeout", "answer_timeout",
    "retry_budget_seconds", "max_throttle_seconds",
)  # fmt: skip
"""What only the destination says, under the same name."""


def _first(ours: object, theirs: object) -> object:
    return theirs if ours is None else ours


def _known(base: DestinationPart, folder: Path) -> KnownUsers | None:
    part = base.known_users
    if part is None:
        return None
    return KnownUsers(
        source=part.source,
        file=folder / part.file if part.file else None,
        resend_days=part.resend_days,
        lookups_per_minute=part.lookups_per_minute,
    )


def _overlaps(templates: tuple[TemplateSettings, ...]) -> list[Problem]:
    """One attribute of a workspace has one owner: two templates would overwrite each other."""
    owner: dict[str, str] = {}
    problems = []
    for index, template in enumerate(templates):
        for attribute in template.attributes:
            first = owner.setdefault(attribute.name.casefold(), template.name)
            if first != template.name:
                problems.append(
                    Problem(
                        ("templates", index, "attributes"),
                        f"{attribute.name!r} is already sent by the template {first!r}; one "
                        "template of a destination owns an attribute, or they would overwrite "
                        "each other every night.",
                    )
                )
    return problems
