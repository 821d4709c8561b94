"""What the numbered columns are called: of the ledger's wide table, the diff and the snapshot.

Numbers and not names, for a Braze name may have any character and any length, and two templates
may write different attributes. Nothing else spells these names.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

SNAPSHOT_VERSION = 2
"""Of the column names of a snapshot. Version 1 had c{no}, n{no}, o{no}."""


@dataclass(frozen=True, kw_only=True)
class AttributeColumns:
    """The columns of one attribute.

    Attributes:
        no: Its number in the ledger.
    """

    no: int

    @property
    def value(self) -> str:
        """Ledger: the acknowledged value."""
        return f"value_{self.no}"

    @property
    def ack(self) -> str:
        """Ledger: the number of the acknowledgement."""
        return f"ack_{self.no}"

    @property
    def changed(self) -> str:
        """Snapshot: whether the attribute is sent."""
        return f"changed_{self.no}"

    @property
    def new(self) -> str:
        """Snapshot: the value to send."""
        return f"new_{self.no}"

    @property
    def old(self) -> str:
        """Snapshot: what Braze acknowledged before."""
        return f"old_{self.no}"

    @property
    def profile(self) -> str:
        """Diff: the value in the profile."""
        return f"profile_{self.no}"

    @property
    def again(self) -> str:
        """Diff: to be sent though the ledger may have that value (reset, or in doubt)."""
        return f"again_{self.no}"

    @property
    def newer(self) -> str:
        """Diff: the ledger has a newer day than the profile."""
        return f"newer_{self.no}"

    @property
    def newer_than_all(self) -> str:
        """Diff: the ledger has a newer day than the plan's newest."""
        return f"newer_than_all_{self.no}"

    @property
    def differs(self) -> str:
        """Diff: the value to send is not the acknowledged one."""
        return f"differs_{self.no}"

    @property
    def superseded(self) -> str:
        """Diff: it differs, but the ledger is newer."""
        return f"superseded_{self.no}"


@dataclass(frozen=True, kw_only=True)
class TemplateColumns:
    """The ledger's columns of one template.

    Attributes:
        template_no: Its number in the ledger.
    """

    template_no: int

    @property
    def evaluated(self) -> str:
        """The newest day that the template evaluated for the user."""
        return f"evaluated_{self.template_no}"

    @property
    def full_at(self) -> str:
        """When its attributes were first, or last in full, acknowledged (UTC)."""
        return f"full_at_{self.template_no}"

    @property
    def unconfirmed(self) -> str:
        """Whether they were acknowledged while nobody knew that Braze has the user."""
        return f"unconfirmed_{self.template_no}"


def snapshot_rows(source: str, columns: Iterable[AttributeColumns], *, version: int) -> str:
    """The rows of a snapshot under today's names, whichever version wrote it, to select from."""
    if version >= SNAPSHOT_VERSION:
        return source
    names = [
        f"{letter}{c.no} AS {name}"
        for c in columns
        for letter, name in (("c", c.changed), ("n", c.new), ("o", c.old))
    ]
    return f"(SELECT * RENAME ({', '.join(names)}) FROM {source})" if names else source
