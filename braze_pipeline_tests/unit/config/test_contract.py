"""A contract sets limits, reserve and pricing; what it needs and lacks is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from braze_pipeline.errors import ConfigurationError
from braze_pipeline.settings import RateLimit
from braze_pipeline.settings.destination import UNKNOWN_LIMIT
from braze_pipeline_tests.unit.config.test_configuration_errors import (
    DESTINATION,
    document,
    line_of,
    load,
)

MAU = "contract: mau\nrate_limit: {requests: 1500, seconds: 3, requests_per_hour: 90000}\n"


def test_data_points_have_brazes_documented_limit_and_their_pricing(tmp_path: Path) -> None:
    (t,) = load(tmp_path, document(destination=DESTINATION + "contract: data_points\n"))
    d = t.destination
    assert (d.rate_limit.requests, d.rate_limit.seconds) == (3000, 3.0)
    assert (d.rate_limit.share, d.pricing.model) == (1.0, "data_points")
    assert d.limited_with == "workspace braze"


def test_monthly_active_users_keep_a_reserve_and_share_the_companys_limit(tmp_path: Path) -> None:
    (t,) = load(tmp_path, document(destination=DESTINATION + MAU))
    d = t.destination
    assert (d.rate_limit.requests_per_hour, d.rate_limit.share) == (90_000, 0.8)
    assert d.bulk.rate_limit.share == 0.8
    assert d.pricing.model == "mau"
    assert d.limited_with == "company of this database"
    own = MAU.replace("90000", "90000, use_at_most: 0.5") + "company: acme\n"
    (t,) = load(tmp_path, document(destination=DESTINATION + own))
    assert t.destination.rate_limit.share == 0.5
    assert t.destination.limited_with == "company acme"


def test_without_a_choice_a_real_braze_gets_little_and_a_sandbox_everything(tmp_path: Path) -> None:
    (t,) = load(tmp_path, document())
    assert t.destination.rate_limit == UNKNOWN_LIMIT
    (t,) = load(tmp_path, document(), BRAZE_REST_ENDPOINT="http://127.0.0.1:8181")
    assert t.destination.rate_limit == RateLimit()
    # A limit that somebody wrote is a choice, in the destination or in the template.
    limit = "rate_limit: {requests: 9, seconds: 1}"
    for text in (document(destination=f"{DESTINATION}{limit}\n"), document(template=limit)):
        (t,) = load(tmp_path, text)
        assert (t.destination.rate_limit.requests, t.destination.contract) == (9, None)


def test_a_share_or_an_hour_alone_is_no_limit(tmp_path: Path) -> None:
    limit = "rate_limit: {use_at_most: 0.5, requests_per_hour: 9000}\n"
    (t,) = load(tmp_path, document(destination=DESTINATION + limit))
    found = t.destination.rate_limit
    assert (found.requests, found.seconds) == (UNKNOWN_LIMIT.requests, UNKNOWN_LIMIT.seconds)
    assert (found.share, found.requests_per_hour) == (0.5, 9000)


@pytest.mark.parametrize(
    ("destination", "key", "message"),
    [
        ("contract: mau\n", "contract", "`requests`, `seconds`, `requests_per_hour`"),
        ("contract: mau\nrate_limit: {requests: 5, seconds: 3}\n", "contract", "requests_per_hour"),
        ("contract: custom\n", "contract", "needs `requests` under `rate_limit`"),
        ("contract: legacy\n", "contract", "data_points, mau, custom"),
        (f"{MAU}pricing: {{model: data_points}}\n", "model", "not billed by 'data_points'"),
        (
            "contract: data_points\npricing: {model: mau}\n",
            "model",
            "`contract: data_points` is not billed by 'mau'",
        ),
        ("bulk: {objects_per_request: 1001}\n", "objects_per_request", "1000"),
        ("rate_limit: {use_at_most: 1.5}\n", "use_at_most", "1"),
        ("endpoint: sync\n", "endpoint", "track, bulk, auto"),
    ],
)
def test_what_contradicts_itself_or_lacks_a_limit_is_named(
    tmp_path: Path, destination: str, key: str, message: str
) -> None:
    text = document(destination=DESTINATION + destination)
    with pytest.raises(ConfigurationError) as caught:
        load(tmp_path, text)
    assert f"defs.yaml:{line_of(text, key)}: " in str(caught.value)
    assert message in str(caught.value)


def test_a_template_changes_what_it_names_of_the_limits_and_keeps_the_rest(tmp_path: Path) -> None:
    custom = "contract: custom\nrate_limit: {requests: 50, seconds: 1}\n"
    bulk = "bulk: {objects_per_request: 500, rate_limit: {requests: 5, seconds: 2}}\n"
    text = document(destination=DESTINATION + custom, template="rate_limit: {use_at_most: 0.5}")
    found = load(tmp_path, text)[0].destination.rate_limit
    assert (found.requests, found.seconds, found.share) == (50, 1.0, 0.5)
    for own in ("bulk: {max_body_bytes: 1000000}", "bulk: {rate_limit: {use_at_most: 0.5}}"):
        text = document(destination=DESTINATION + custom + bulk, template=own)
        sent = load(tmp_path, text)[0].destination.bulk
        assert (sent.objects_per_request, sent.rate_limit.requests) == (500, 5)
        assert sent.rate_limit.seconds == 2.0
    text = document(destination=DESTINATION + MAU, template="rate_limit: {requests: 10}")
    found = load(tmp_path, text)[0].destination.rate_limit
    assert (found.requests, found.seconds) == (10, 3.0)
    assert (found.requests_per_hour, found.share) == (90_000, 0.8)


def test_no_template_gives_up_the_hourly_limit_of_mau(tmp_path: Path) -> None:
    own = "rate_limit: {requests_per_hour: null}"
    text = document(destination=DESTINATION + MAU, template=own)
    with pytest.raises(ConfigurationError, match="`contract: mau` needs `requests_per_hour`") as no:
        load(tmp_path, text)
    assert f"defs.yaml:{line_of(text, own)}: templates[0].rate_limit: " in str(no.value)


def test_a_template_says_itself_which_endpoint_it_is_sent_to(tmp_path: Path) -> None:
    destination = DESTINATION + "endpoint: auto\n"
    (t,) = load(tmp_path, document(destination=destination))
    assert t.destination.sends_to == "auto"
    (t,) = load(tmp_path, document(destination=destination, template="endpoint: track"))
    assert t.destination.sends_to == "track"
    (t,) = load(tmp_path, document(destination=destination, template="endpoint:"))
    assert t.destination.sends_to == "auto"
