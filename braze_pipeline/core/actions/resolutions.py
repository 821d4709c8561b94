"""The steps that resolve each class of workflow action, as data.

One table that the command line, the notifications and the documentation read. The product's own
classes ("Send data to Braze", "Workflow actions") name their ``section`` there.

A step may name ``{template}``, ``{destination}``, ``{api_key_env}``, ``{config}``, ``{sql}``,
``{day}``, ``{guard}`` and ``{number}``; ``Resolution.steps_for`` fills them in.
"""

from __future__ import annotations

from collections.abc import Mapping

from braze_pipeline import errors
from braze_pipeline.core.actions.kinds import (
    MISSING_FIELD_CAMPAIGN,
    MISSING_FIELD_ORCHESTRATION,
    RETRY,
    STATUS_401_PERSISTENT,
    STATUS_401_TRANSIENT,
    UNKNOWN,
    Resolution,
)
from braze_pipeline.core.actions.noticed import NOTICED

_RETRY_WHOLE = (
    'Retry all of its steps: `braze-pipeline actions resolve {number}`, or "Re-execute all" of the '
    'run in the UI; "from failure" would go on with the data as it was. Users that Braze '
    "acknowledged are not sent again."
)
_RUN_THE_DAY = "Run the whole day: `braze-pipeline --template {template} run --as-of {day}`."
_IDENTIFIER_IN_QUERY = (
    "Open {sql} and check that the query results hold the identifier's column, with a value for "
    "each customer."
)
_KEY_STEPS = (
    (
        "In Braze, open Settings > APIs and Identifiers and look at the key: that it exists, that "
        "it was not rotated, and that it belongs to the workspace and instance of {destination}."
    ),
    (
        "Put the valid key into the environment variable {api_key_env} of the code server, and "
        "restart it. `braze-pipeline doctor` tells whether Braze takes it."
    ),
    RETRY,
)


def resolution_of(action: str) -> Resolution:
    """The resolution of a class; an unlisted class is told like an unexpected failure."""
    return RESOLUTIONS.get(action, RESOLUTIONS[UNKNOWN])


RESOLUTIONS: Mapping[str, Resolution] = {
    errors.CredentialsMissing.action: Resolution(
        title=errors.CredentialsMissing.title,
        meaning="The environment of the code server holds no API key for {destination}.",
        steps=(
            "In Braze, open Settings > APIs and Identifiers; make a key that may users.track.",
            "Put it into the code server's environment variable {api_key_env}, and restart it.",
            RETRY,
        ),
        section="Invalid credentials",
    ),
    errors.InvalidCredentials.action: Resolution(
        title=errors.InvalidCredentials.title,
        meaning="Braze refuses the API key of {destination}, and never accepted it.",
        steps=_KEY_STEPS,
        section="Invalid credentials",
    ),
    STATUS_401_TRANSIENT: Resolution(
        title="Status 401 error, perhaps transient",
        meaning=(
            "Braze refused a key that it had accepted before. That can pass by itself; more often "
            "the key was rotated or revoked."
        ),
        steps=(
            (
                "Retry once: `braze-pipeline actions resolve {number}`. If Braze takes the key "
                "again, this action closes itself; if not, it becomes a persistent one."
            ),
            *_KEY_STEPS[:2],
        ),
        section="Status 401 error",
    ),
    STATUS_401_PERSISTENT: Resolution(
        title="Status 401 error, persistent",
        meaning=(
            "Braze refused the key in several runs on end after having accepted it earlier: it "
            "was rotated, revoked, or moved to another workspace."
        ),
        steps=_KEY_STEPS,
        section="Status 401 error",
    ),
    errors.MissingPermission.action: Resolution(
        title=errors.MissingPermission.title,
        meaning="The key is valid but may not do this, or the Braze account is not active.",
        steps=(
            (
                "In Braze, open Settings > APIs and Identifiers > the key, and add the permission "
                "that is named above (users.track for sending)."
            ),
            "If the key has an IP allowlist, add the address this machine sends from.",
            RETRY,
        ),
    ),
    errors.WrongInstance.action: Resolution(
        title=errors.WrongInstance.title,
        meaning="What answers at the REST endpoint is not Braze's API, or not your instance's.",
        steps=(
            (
                "Compare `instance` (or `rest_endpoint`) in {config}, and BRAZE_REST_ENDPOINT if "
                "it is set, with the address of your Braze dashboard: dashboard-05 is US-05."
            ),
            "Check that no proxy answers in Braze's place.",
            RETRY,
        ),
    ),
    MISSING_FIELD_ORCHESTRATION: Resolution(
        title="Missing required field (orchestration)",
        meaning=(
            "Users cannot reach Braze without a unique identifier: each needs `external_id` or "
            "`braze_id`."
        ),
        steps=(
            _IDENTIFIER_IN_QUERY,
            "Open {config} and check `user_identifier` and `identifier_column` of {template}.",
            "`braze-pipeline template check --as-of {day}` tells whether both fit.",
            _RETRY_WHOLE,
        ),
        whole=True,
        section="Missing required field, for orchestrations",
    ),
    MISSING_FIELD_CAMPAIGN: Resolution(
        title="Missing required field (campaign)",
        meaning=(
            "A recipient group would be sent without a unique identifier: each group's list needs "
            "`external_id` or `braze_id`."
        ),
        steps=(
            "Open {config} at `recipient_groups` of {template}.",
            "Add the identifier to `attributes` of every group that is sent to Braze.",
            _IDENTIFIER_IN_QUERY,
            "`braze-pipeline template check --as-of {day}` tells whether all of it fits.",
            _RETRY_WHOLE,
        ),
        whole=True,
        section="Missing required field, for campaigns",
    ),
    errors.ConfigurationError.action: Resolution(
        title=errors.ConfigurationError.title,
        meaning="The configuration cannot be used as it is.",
        steps=(
            "Open {config}; the message above names what is wrong.",
            "`braze-pipeline template check` tells when it is right. Reload the code location.",
            RETRY,
        ),
    ),
    errors.SourceMissing.action: Resolution(
        title=errors.SourceMissing.title,
        meaning="A source table was not there when the run wanted it.",
        steps=(
            "Deliver the file or table that is named above, or correct its place in {config}.",
            "If it is only late, raise `schedule.lag_days`, or run the schedule later in the day.",
            RETRY,
        ),
    ),
    errors.SourceChanged.action: Resolution(
        title=errors.SourceChanged.title,
        meaning="A source table has lost a column, or holds values or rows that cannot be used.",
        steps=(
            "Ask the owner of the source whether the change is meant.",
            "If it is, map the column under `sources` in {config}, or change {sql}.",
            RETRY,
        ),
    ),
    errors.NotBuilt.action: Resolution(
        title=errors.NotBuilt.title,
        meaning="What the run was to work on is not there: an earlier step has to make it first.",
        steps=(_RUN_THE_DAY,),
        retry=False,
    ),
    errors.AudienceEmpty.action: Resolution(
        title=errors.AudienceEmpty.title,
        meaning="Nobody is in the audience. An empty one is not planned, since to the ledger it "
        "would look as if everybody had left.",
        steps=(
            "Look at the funnel of braze_audience in the UI: which rule excludes everybody.",
            "Fix the source table or {sql} that the rule reads, or `audience` in {config}.",
            _RETRY_WHOLE,
        ),
        whole=True,
    ),
    errors.ContractBroken.action: Resolution(
        title=errors.ContractBroken.title,
        meaning=(
            "The profiles as a whole do not satisfy the template's contract, or Braze refused all "
            "users that were sent."
        ),
        steps=(
            "`braze-pipeline rejections --as-of {day}` lists what failed and why, masked.",
            "Fix the source or {sql}; or the template in {config} if the data is right.",
            (
                "Users that Braze refused wait until their values change; "
                "`braze-pipeline --template {template} retry-rejected` sends them as they are."
            ),
            _RETRY_WHOLE,
        ),
        whole=True,
    ),
    errors.GuardStopped.action: Resolution(
        title=errors.GuardStopped.title,
        meaning="The plan looked unlike the last ones, so nothing of it was sent.",
        steps=(
            "Look at the failed check of the plan in the UI: what it saw, what is allowed.",
            (
                "If the data is wrong, mend the source and retry all steps: "
                '`braze-pipeline actions resolve {number}`, or "Re-execute all" of the run in '
                'the UI; "from failure" would plan the same data again.'
            ),
            (
                "If the data is right, let this one run through, with a reason that is recorded: "
                "`braze-pipeline --template {template} run --as-of {day} --let-through {guard} "
                '--reason "..."`.'
            ),
            "If it will be so from now on, change the threshold under `guards` in {config}.",
        ),
        whole=True,
    ),
    errors.PlanOutdated.action: Resolution(
        title=errors.PlanOutdated.title,
        meaning="The ledger moved on after the plan was made; carrying it out could send older "
        "values.",
        steps=(_RUN_THE_DAY,),
        retry=False,
    ),
    errors.AccountingError.action: Resolution(
        title=errors.AccountingError.title,
        meaning="Two independent counts of the same rows differ: some row has no known outcome.",
        steps=(
            "Look at the counts of the check every_user_is_accounted_for in the UI.",
            "Retry: `braze-pipeline actions resolve {number}`. A second failure is a defect.",
        ),
    ),
    errors.LedgerError.action: Resolution(
        title=errors.LedgerError.title,
        meaning="The database, the journal or the store of actions cannot be read as it is.",
        steps=(
            "Check BRAZE_PIPELINE_DATABASE and the DuckDB version that wrote the file.",
            (
                "Restore the newest backup (`braze-pipeline ledger import`), with the journal "
                "beside it where it is still there."
            ),
            RETRY,
        ),
    ),
    errors.EndpointMismatch.action: Resolution(
        title=errors.EndpointMismatch.title,
        meaning=(
            "The ledger says what one Braze endpoint acknowledged, and the run was for another, of "
            "which that proves nothing. Nothing was planned or sent."
        ),
        steps=(
            (
                "Compare the two addresses above. If the new one is a mistake, correct `instance` "
                "(or `rest_endpoint`) in {config}, or BRAZE_REST_ENDPOINT."
            ),
            (
                "If it is the same workspace at a new address, or the ledger was made by version "
                "0.1.0, which did not record the endpoint: "
                '`braze-pipeline --template {template} ledger adopt --reason "..."`.'
            ),
            (
                "If it is another workspace, give it a database of its own "
                "(BRAZE_PIPELINE_DATABASE); or empty this ledger, after a `ledger export`, with "
                "`braze-pipeline --template {template} ledger reset --all`: then all is sent in "
                "full."
            ),
            (
                'Retry: `braze-pipeline actions resolve {number}`, or "Re-execute all" of the run '
                "in the UI."
            ),
        ),
        whole=True,
    ),
    errors.BrazeUnavailable.action: Resolution(
        title=errors.BrazeUnavailable.title,
        meaning="Braze could not be reached, or kept failing after all retries.",
        steps=(
            (
                "Look at Braze's status page, and whether this machine reaches the REST endpoint "
                "(`braze-pipeline doctor`)."
            ),
            RETRY,
        ),
    ),
    errors.RateLimitExhausted.action: Resolution(
        title=errors.RateLimitExhausted.title,
        meaning="Braze kept answering 429: somebody else uses up the same limit, or ours is set "
        "higher than the contract's.",
        steps=(
            (
                "Compare `rate_limit` in {config} with your contract, and look at what else "
                "sends to this workspace at that hour."
            ),
            "Wait for the limit to reset (an hour at most).",
            RETRY,
        ),
    ),
    errors.DatabaseLocked.action: Resolution(
        title=errors.DatabaseLocked.title,
        meaning="Another process keeps the DuckDB file open.",
        steps=(
            "End it: a DuckDB shell, a notebook, another run outside this Dagster instance.",
            RETRY,
        ),
    ),
    errors.DiskFull.action: Resolution(
        title=errors.DiskFull.title,
        meaning="No room is left where the database, its journal or its snapshots lie.",
        steps=(
            "Free some room. `history_days` in {config} bounds what the database keeps.",
            RETRY,
        ),
    ),
    errors.OutOfMemory.action: Resolution(
        title=errors.OutOfMemory.title,
        meaning="DuckDB needed more memory than it may use, for what it cannot move to disk.",
        steps=(
            (
                "Give the machine more, end what else runs on it, or let {sql} keep less of each "
                "customer: lists are what must fit."
            ),
            RETRY,
        ),
    ),
    errors.SendInterrupted.action: Resolution(
        title=errors.SendInterrupted.title,
        meaning="The run was terminated; what Braze had acknowledged by then is kept.",
        steps=(
            (
                "If it was terminated on purpose, close this: "
                '`braze-pipeline actions close {number} --reason "..."`.'
            ),
            RETRY,
        ),
    ),
    errors.SendBusy.action: Resolution(
        title=errors.SendBusy.title,
        meaning="Two sends to the same destination never run at once; this one gave way.",
        steps=("Wait until the other one has ended.", RETRY),
    ),
    **NOTICED,
    UNKNOWN: Resolution(
        title=errors.PipelineError.title,
        meaning="Nothing that is known to go wrong; perhaps a defect.",
        steps=(
            "Look at the run in the UI: the failed step says where it arose.",
            "Retry once: `braze-pipeline actions resolve {number}`.",
            "If it fails again, report it with the text above.",
        ),
    ),
}
