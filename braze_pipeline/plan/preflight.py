"""Compare a template's custom attributes with those that Braze has, before a plan is made.

Asking needs the permission ``custom_attributes.get``. Without it, without a key, or while Braze
cannot be reached, the template of now is compared with what Braze had when it was last asked, and
the plan reports that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from braze_pipeline.braze.client import one_client
from braze_pipeline.braze.existing_attributes import (
    SHOWN_AFTER,
    AttributeFinding,
    AttributeState,
    compare,
    missing,
    new,
)
from braze_pipeline.braze.names import comparison_key
from braze_pipeline.braze.redaction import has_api_key
from braze_pipeline.errors import BrazeError, MissingPermission
from braze_pipeline.ledger.known_users import acknowledgements_are_proof, attributes_in_braze

if TYPE_CHECKING:
    from braze_pipeline.ledger.ledger import Ledger
    from braze_pipeline.settings import TemplateSettings


_KEPT: Final = ("name", "data_type", "status", "array_length")


@dataclass(frozen=True, kw_only=True)
class Listed:
    """What Braze had under some names, kept to be compared again.

    Attributes:
        at: When it was asked (UTC).
        names: Our names that were looked for.
        attributes: Those of Braze's attributes that have these names, in any case.
        total: How many custom attributes Braze had.
    """

    at: datetime
    names: tuple[str, ...]
    attributes: tuple[dict[str, Any], ...]
    total: int

    def has(self, name: str) -> bool:
        """Whether Braze had an attribute of just this name."""
        return any(one["name"] == name for one in self.attributes)


@dataclass(frozen=True, kw_only=True)
class Preflight:
    """What Braze has under the names of a template.

    Attributes:
        compared_at: When Braze was asked (UTC); None if never.
        attributes: How many custom attributes Braze has.
        findings: What was found about the template's attributes.
        note: Why Braze was not asked this time; empty if it was.
        listed: What Braze had when it was last asked; None if never, and in earlier plans.
    """

    compared_at: datetime | None = None
    attributes: int = 0
    findings: tuple[AttributeFinding, ...] = ()
    note: str = ""
    listed: Listed | None = None

    @property
    def blocked(self) -> dict[str, AttributeFinding]:
        """By name, what must not be sent."""
        return {finding.name: finding for finding in self.findings if finding.blocked}

    @property
    def absent(self) -> frozenset[str]:
        """Names that Braze does not have, new or missing."""
        states = (AttributeState.NEW, AttributeState.MISSING)
        return frozenset(f.name for f in self.findings if f.state in states)

    @property
    def new(self) -> frozenset[str]:
        """Names that Braze does not have, and creates."""
        return self.absent.difference(self.blocked)

    @property
    def missing(self) -> frozenset[str]:
        """Names that Braze does not have any more."""
        return frozenset(f.name for f in self.findings if f.state is AttributeState.MISSING)

    @property
    def present(self) -> int:
        """How many of the template's names Braze has."""
        return sum(map(self.listed.has, self.listed.names)) if self.listed else 0

    def sentence(self) -> str:
        """The comparison in one line."""
        if self.compared_at is None:
            return f"Names and types were not compared with Braze: {self.note}"
        if self.note:
            moment = f"{self.compared_at:%Y-%m-%d %H:%M}"
            return f"{self.note} The comparison of {moment} UTC still applies."
        return (
            f"Names and types compared with the {self.attributes:,} custom attributes in Braze: "
            f"{len(self.new)} new, {len(self.blocked)} blocked."
        )

    def lines(self) -> list[str]:
        """The comparison, and each finding but the new names."""
        return [
            self.sentence(),
            *(f.text for f in self.findings if f.state is not AttributeState.NEW),
        ]


def ask(
    t: TemplateSettings, *, environ: Mapping[str, str], now: datetime, last: Preflight | None
) -> Preflight:
    """Ask Braze. This never fails a plan: the note has the reason if Braze cannot be asked.

    Args:
        t: The template; its destination says whether to ask (``preflight``).
        environ: Where the key is.
        now: The wall clock (UTC).
        last: The last comparison: what Braze had then still counts if it cannot be asked.
    """
    d = t.destination
    if d.preflight == "off":
        return Preflight(note="`preflight: off`.", listed=last.listed if last else None)
    if not has_api_key(environ, d.api_key_env):
        return _last_comparison(t, last, f"{d.api_key_env} is not set.")
    try:
        with one_client(d, environ) as client:
            listed = list(client.custom_attributes())
    except MissingPermission:
        return _last_comparison(t, last, "the API key lacks the permission custom_attributes.get.")
    except BrazeError as error:
        return _last_comparison(t, last, f"{error.title}: {error}")
    return _compare(t, _listed(t, listed, now))


def find_missing(compared: Preflight, ledger: Ledger, t: TemplateSettings) -> Preflight:
    """Of the names that Braze does not have, tell those that it once had from the new ones.

    It had an attribute if it acknowledged a value for a user that it has, long enough before it
    was asked, and if the attribute was not reset since.
    """
    absent = compared.absent
    if compared.compared_at is None or not absent or not ledger.exists():
        return compared
    had = attributes_in_braze(
        ledger,
        absent,
        before=compared.compared_at - SHOWN_AFTER,
        proof=acknowledgements_are_proof(t),
    )
    block = t.destination.preflight == "stop"

    def judged(found: AttributeFinding) -> AttributeFinding:
        if found.name not in absent:
            return found
        return missing(found.name, block=block) if found.name in had else new(found.name)

    return replace(compared, findings=tuple(map(judged, compared.findings)))


def _listed(t: TemplateSettings, listed: Sequence[Mapping[str, Any]], now: datetime) -> Listed:
    names = tuple(one.name for one in t.attributes if not one.is_field)
    keys = set(map(comparison_key, names))
    found = (one for one in listed if comparison_key(str(one.get("name"))) in keys)
    return Listed(
        at=now,
        names=names,
        attributes=tuple({key: one[key] for key in _KEPT if key in one} for one in found),
        total=len(listed),
    )


def _compare(t: TemplateSettings, listed: Listed, *, note: str = "") -> Preflight:
    """Compare the attributes whose names Braze was asked for."""
    attributes = [one for one in t.attributes if one.name in listed.names]
    block = t.destination.preflight == "stop"
    return Preflight(
        compared_at=listed.at,
        attributes=listed.total,
        findings=compare(attributes, listed.attributes, block=block),
        note=note,
        listed=listed,
    )


def _last_comparison(t: TemplateSettings, last: Preflight | None, note: str) -> Preflight:
    """What was blocked stays blocked: a network failure must not let it through."""
    if last is None or (last.listed is None and last.compared_at is None):
        return Preflight(note=note)
    note = f"Not compared now: {note}"
    if last.listed is None:  # an earlier version kept the findings only
        return replace(last, note=note)
    return _compare(t, last.listed, note=note)
