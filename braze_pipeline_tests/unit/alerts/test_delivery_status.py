"""What was and was not sent, as a workflow action reports it."""

from __future__ import annotations

from pathlib import Path

import pytest

from braze_pipeline.alerts import DeliveryStatus, delivery_status_of, ever_acknowledged, plan_of_run
from braze_pipeline.storage.journal import Acknowledgement, Journal, Writer, progress


def acknowledge(path: Path, run_id: str, request: int, count: int, refused: int = 0) -> None:
    journal = Journal(path)
    send = journal.start(destination="braze", template="loyal", plan_id="plan", run_id=run_id)
    writer = Writer(journal, send)
    writer.put(
        Acknowledgement(
            request_no=request,
            first_index=0,
            count=count,
            refused=dict.fromkeys(range(refused), "refused"),
        )
    )
    writer.close()


def test_the_status_of_a_plan_is_the_sum_of_its_sends(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    acknowledge(path, "run-1", request=0, count=75, refused=2)
    acknowledge(path, "run-2", request=1, count=10)
    assert delivery_status_of(path, "plan", planned=100) == DeliveryStatus(
        planned=100, accepted=83, rejected=2
    )
    assert delivery_status_of(path, "another", planned=5) == DeliveryStatus(
        planned=5, accepted=0, rejected=0
    )
    assert plan_of_run(path, "run-2", "braze", "loyal") == "plan"
    assert plan_of_run(path, "run-2", "braze", "vip") is None
    assert plan_of_run(path, "run-3", "braze", "loyal") is None
    assert ever_acknowledged(path, "braze")
    assert not ever_acknowledged(path, "second")


def test_send_and_action_count_alike_even_what_was_answered_twice(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    acknowledge(path, "run-1", request=0, count=75, refused=2)
    acknowledge(path, "run-2", request=0, count=75, refused=2)
    sent = progress(path, "plan")
    assert (sent.accepted, sent.refused) == (73, 2)
    assert delivery_status_of(path, "plan", planned=75) == DeliveryStatus(
        planned=75, accepted=73, rejected=2
    )


@pytest.mark.parametrize("damage", [None, b"", b"this is not a database at all" * 50])
def test_without_a_readable_journal_nothing_is_known_and_nothing_fails(
    tmp_path: Path, damage: bytes | None
) -> None:
    path = tmp_path / "journal.sqlite"
    if damage is not None:
        path.write_bytes(damage)
    assert plan_of_run(path, "run", "braze", "loyal") is None
    assert delivery_status_of(path, "plan", planned=None).sentence() == "Nothing was sent."


@pytest.mark.parametrize(
    ("sent", "sentence"),
    [
        (DeliveryStatus(planned=None, accepted=0, rejected=0), "Nothing was sent."),
        (
            DeliveryStatus(planned=9, accepted=0, rejected=0),
            "Nothing was sent; 9 users were planned.",
        ),
        (
            DeliveryStatus(planned=1000, accepted=900, rejected=40),
            "900 users accepted by Braze, 40 rejected, 60 not attempted.",
        ),
        (
            DeliveryStatus(planned=None, accepted=900, rejected=0),
            "900 users accepted by Braze, 0 rejected, an unknown number not attempted.",
        ),
    ],
)
def test_the_status_is_one_sentence(sent: DeliveryStatus, sentence: str) -> None:
    assert sent.sentence() == sentence
