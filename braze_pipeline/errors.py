"""The errors an operator can act on, as types.

What belongs here: one class for each cause with a remedy of its own. What does not: anything that
only a developer can fix (those stay ordinary Python exceptions and become the class ``unknown``).

::

    PipelineError
    ├── UsageError
    │   └── CannotRetry
    ├── ConfigurationError
    │   └── MissingRequiredField
    ├── SourceError
    │   ├── SourceMissing
    │   ├── SourceDenied
    │   ├── SourceUnavailable
    │   └── SourceChanged
    ├── NotBuilt
    ├── AudienceEmpty
    ├── ContractBroken
    ├── BrazeError
    │   ├── InvalidCredentials
    │   │   └── CredentialsMissing
    │   ├── MissingPermission
    │   ├── WrongInstance
    │   ├── BrazeUnavailable
    │   └── RateLimitExhausted
    ├── GuardStopped
    ├── PlanOutdated
    ├── AccountingError
    ├── LedgerError
    │   ├── EndpointMismatch
    │   └── NewerVersion
    ├── SendInterrupted
    ├── SendBusy
    ├── DatabaseLocked
    ├── DiskFull
    └── OutOfMemory

A message is written for the operator: what happened, what it means, what to do. It never contains
a customer's value or a credential.
"""

from __future__ import annotations

from typing import ClassVar


class PipelineError(Exception):
    """Something an operator can fix.

    Attributes:
        what: What happened, in one sentence with the file, key or address.
        fix: What to do about it.
        action: The class of the workflow action.
        title: That class in words.
        exit_code: The exit code of the command line (see the README's table of exit codes).
        transient: Whether a later retry can help without any change.
    """

    action: ClassVar[str] = "unknown"
    title: ClassVar[str] = "Unexpected failure"
    exit_code: ClassVar[int] = 1
    transient: ClassVar[bool] = False

    def __init__(self, what: str, *, fix: str) -> None:
        super().__init__(f"{what} {fix}".strip())
        self.what = what
        self.fix = fix


def error_classes() -> tuple[type[PipelineError], ...]:
    """All typed errors, each before its subclasses."""
    classes: list[type[PipelineError]] = [PipelineError]
    for error_class in classes:
        classes += error_class.__subclasses__()
    return tuple(classes)


class UsageError(PipelineError):
    """A command got an invalid option, date, file or number, or a run an invalid day or tag."""

    action = "usage"
    title = "Invalid input"
    exit_code = 2


class CannotRetry(UsageError):
    """The run of a workflow action cannot be retried, or not from here."""

    title = "Cannot retry"


class ConfigurationError(PipelineError):
    """The configuration has an error."""

    action = "invalid_configuration"
    title = "Invalid configuration"
    exit_code = 2


class MissingRequiredField(ConfigurationError):
    """No ``external_id`` or ``braze_id`` would be sent: Braze would not know whom to update."""

    action = "missing_required_field"
    title = "Missing required field"


class SourceError(PipelineError):
    """A source table cannot be used."""

    action = "source_changed"
    title = "Source unusable"
    exit_code = 2


class SourceMissing(SourceError):
    """A source table's file or relation is missing."""

    action = "source_missing"
    title = "Source missing"


class SourceDenied(SourceError):
    """The credential for a source's place is wrong, or lacks the right to read it."""

    action = "source_denied"
    title = "Source access denied"


class SourceUnavailable(SourceError):
    """A source's place cannot be reached, or the connection was lost: it may pass."""

    action = "source_unavailable"
    title = "Source unavailable"
    transient = True


class SourceChanged(SourceError):
    """A source table lacks a column, or contains values that cannot be read or used."""


class NotBuilt(PipelineError):
    """The input of a step or command is missing: an earlier step has to make it first."""

    action = "not_built"
    title = "Earlier step missing"
    exit_code = 2


class AudienceEmpty(PipelineError):
    """Nobody is in the audience: it would look as if everybody had left."""

    action = "audience_empty"
    title = "Audience empty"
    exit_code = 2


class ContractBroken(PipelineError):
    """The profiles as a whole do not meet the contract, beyond single rejected values."""

    action = "contract_broken"
    title = "Contract broken"
    exit_code = 2


class BrazeError(PipelineError):
    """Braze refused the run as a whole, or could not be reached.

    Attributes:
        wait: Seconds that Braze asked to wait; None if it named none.
    """

    wait: float | None = None


class InvalidCredentials(BrazeError):
    """401: the key is invalid, or belongs to another workspace or instance."""

    action = "invalid_credentials"
    title = "Invalid credentials (status 401)"
    exit_code = 3


class CredentialsMissing(InvalidCredentials):
    """There is no API key: the environment variable is not set, or empty."""

    action = "credentials_missing"
    title = "No credentials"


class MissingPermission(BrazeError):
    """403: the key lacks a permission, or the account is not active."""

    action = "missing_permission"
    title = "Missing permission (status 403)"
    exit_code = 3


class WrongInstance(BrazeError):
    """The endpoint answers, but not like Braze (404, or no JSON)."""

    action = "wrong_instance"
    title = "Wrong instance"
    exit_code = 3


class BrazeUnavailable(BrazeError):
    """Braze could not be reached, or kept failing after all retries."""

    action = "braze_unavailable"
    title = "Braze unavailable"
    exit_code = 4
    transient = True


class RateLimitExhausted(BrazeError):
    """Braze kept answering 429 for longer than the run may wait."""

    action = "rate_limit_exhausted"
    title = "Rate limit exhausted"
    exit_code = 4
    transient = True


class GuardStopped(PipelineError):
    """A guard stopped the plan before anything was sent."""

    action = "guard_stopped"
    title = "Stopped by a guard"
    exit_code = 5


class PlanOutdated(PipelineError):
    """The ledger or the template changed after the plan was made, so it is not sent."""

    action = "plan_outdated"
    title = "Plan outdated"
    exit_code = 5


class AccountingError(PipelineError):
    """The counts of a run do not add up: some rows have no known outcome."""

    action = "accounting"
    title = "Rows unaccounted for"
    exit_code = 1


class LedgerError(PipelineError):
    """The database, its journal or the store of actions cannot be used."""

    action = "ledger"
    title = "Database unusable"
    exit_code = 2


class EndpointMismatch(LedgerError):
    """The ledger belongs to another Braze endpoint, or does not record which one."""

    action = "endpoint_mismatch"
    title = "Ledger of another endpoint"


class NewerVersion(LedgerError):
    """A database, file or stored plan was written by a newer version of the package."""

    title = "Written by a newer version"


class SendInterrupted(PipelineError):
    """The send was asked to stop (SIGTERM, Terminate in the UI, Ctrl-C) and stopped cleanly."""

    action = "send_interrupted"
    title = "Send interrupted"
    exit_code = 4
    transient = True


class SendBusy(PipelineError):
    """Another send to the same destination is running."""

    action = "send_busy"
    title = "Another send is running"
    exit_code = 4
    transient = True


class DatabaseLocked(PipelineError):
    """Another process kept the DuckDB file open for longer than the lock timeout."""

    action = "database_locked"
    title = "Database locked"
    exit_code = 4
    transient = True


class DiskFull(PipelineError):
    """The disk with the database, its journal or its snapshots is full."""

    action = "disk_full"
    title = "Disk full"
    exit_code = 4


class OutOfMemory(PipelineError):
    """DuckDB needed more memory than it may use, for data that it cannot move to disk."""

    action = "out_of_memory"
    title = "Out of memory"
    exit_code = 4
