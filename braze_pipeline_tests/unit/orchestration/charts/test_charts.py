"""What is on the charts, read back out of the Markdown as a browser would."""

from __future__ import annotations

import re
from dataclasses import replace
from urllib.parse import unquote
from xml.etree import ElementTree as ET

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from braze_pipeline.orchestration.charts import cost, funnel, send
from braze_pipeline.orchestration.charts.send import rates
from braze_pipeline.orchestration.charts.svg import WIDTH
from braze_pipeline.plan.forecast import AttributeCost
from braze_pipeline.send import SendResult

IN_PLACE = 1000
"""Dagster's UI shows Markdown of this many characters or more behind a click."""

SEEN = 370
"""The width of a chart that a window of 1,400 shows."""

HOSTILE = (
    "</text><script>alert(1)</script>",
    "a & b 'c' \"d\"",
    "100 % #1 %3Cb%3E",
    "](javascript:alert(1))",
    "back\\slash\\> <b>",
    "nul\x00 esc\x1b lone\ud800 \ufffe",
    "several\nlines\tand  spaces",
    "日本語の属性名" * 20,
)

FUNNEL = {"high_value": 3218, "active": 1042, "contactable": 311}

SENT = SendResult(
    accepted_users=1_856_614,
    rejected_users=1_234,
    not_attempted_users=5_000,
    requests=25_000,
    bytes=1,
    users_sent=1_864_000,
    seconds=30.4,
    throttled_seconds=0,
    latency_p50=0.042,
    latency_p95=0.18,
    latency_p99=0.61,
    retries={},
    refused={},
    timeline=tuple((0.5 * n, 31_000 * n + n % 7 * 1_000) for n in range(1, 61)),
    stopped_by=None,
)
NOTHING = replace(
    SENT, accepted_users=0, rejected_users=0, not_attempted_users=0, requests=0, users_sent=0,
    seconds=0, latency_p50=0, latency_p99=0, timeline=(),
)  # fmt: skip


def svg(markdown: str) -> str:
    """The SVG in an image, by the rules of CommonMark and of data addresses."""
    chart = re.fullmatch(
        r"!\[[^\]]*\]\(<data:image/svg\+xml,((?:[^<>\\\n#&]|\\[<>])*)>\)", markdown
    )
    assert chart, markdown
    return unquote(chart[1].replace("\\<", "<").replace("\\>", ">"))


def tree(markdown: str) -> ET.Element:
    return ET.fromstring(svg(markdown))


def texts(markdown: str) -> list[str]:
    return [element.text or "" for element in tree(markdown).iter() if element.tag.endswith("text")]


def drawn(markdown: str) -> list[tuple[float, ...]]:
    """The widths and heights of the bars."""
    paths = [e.get("d", "") for e in tree(markdown).iter() if e.tag.endswith("path")]
    return [
        (float(wide), float(high))
        for path in paths
        for wide, high in re.findall(r"h([\d.]+)v([\d.]+)", path)
    ]


def bar(name: str, now: int, full: int) -> AttributeCost:
    return AttributeCost(
        name=name, type="string", users=now, nulls=0, data_points=2 * now,
        full_users=full, full_data_points=2 * full, new=False,
    )  # fmt: skip


def bars(count: int, *, name: str = "Attribute {}") -> list[AttributeCost]:
    return [bar(name.format(n), 1000 * n, 100_000 + n) for n in range(count)]


EVERY = {
    "funnel": funnel(customers=5894, excluded=FUNNEL),
    "funnel of nobody": funnel(customers=0, excluded=dict.fromkeys(FUNNEL, 0)),
    "funnel without rules": funnel(customers=7, excluded={}),
    "cost": cost(bars(24), points=False),
    "cost of nothing": cost([bar("a", 0, 0)], points=True),
    "cost without attributes": cost([], points=True),
    "send": send(SENT),
    "send of nothing": send(NOTHING),
    "one request": send(replace(SENT, timeline=((0.02, 2),))),
}


@pytest.mark.parametrize("name", EVERY)
def test_every_chart_is_well_formed_and_as_wide_as_can_be_seen(name: str) -> None:
    root = tree(EVERY[name])
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert float(root.get("width", "0")) == WIDTH < SEEN


@pytest.mark.parametrize("name", EVERY)
def test_every_chart_has_a_background_for_a_light_and_for_a_dark_page(name: str) -> None:
    assert "prefers-color-scheme:dark" in svg(EVERY[name])
    first = next(e for e in tree(EVERY[name]).iter() if e.tag.endswith("rect"))
    assert float(first.get("width", "0")) == WIDTH


@pytest.mark.parametrize("name", EVERY)
def test_a_chart_refers_to_nothing_outside_of_itself(name: str) -> None:
    found = svg(EVERY[name]).replace("http://www.w3.org/2000/svg", "")
    assert not re.search(r"https?:|href|url\(|<script|<image|<foreignObject|\bon\w+=", found)


@pytest.mark.parametrize(
    "markdown",
    [
        EVERY["funnel"],
        funnel(customers=999_999, excluded=dict.fromkeys(FUNNEL, 333333)),
        funnel(customers=10**12, excluded=dict.fromkeys(FUNNEL, 3 * 10**11)),
        EVERY["cost"],
        cost(bars(300, name="An attribute with a name of great length, number {}"), points=True),
        cost(
            [bar(f"Attribute {n}", 12_345_678_901, 98_765_432_109) for n in range(50)], points=True
        ),
        send(SENT),
        send(
            replace(
                SENT,
                accepted_users=10**11,
                timeline=tuple((n / 3, n * 10**9) for n in range(120)),
            )
        ),
        send(NOTHING),
    ],
)
def test_a_chart_is_short_enough_for_the_ui_to_show_in_place(markdown: str) -> None:
    assert len(markdown) < IN_PLACE


def test_the_funnel_shows_who_is_left_after_each_rule_and_whom_it_excluded() -> None:
    assert texts(EVERY["funnel"]) == [
        "Customers", "5,894",
        "High value", "2,676 (45.4 %), excluded 3,218",
        "Active", "1,634 (27.7 %), excluded 1,042",
        "Contactable", "1,323 (22.4 %), excluded 311",
    ]  # fmt: skip


def test_a_share_that_is_almost_nothing_or_almost_all_does_not_look_like_it() -> None:
    found = funnel(customers=90_000, excluded={"active": 1, "contactable": 89_998})
    assert "89,999 (> 99.9 %), excluded 1" in texts(found)
    assert "1 (< 0.1 %), excluded 89,998" in texts(found)


def test_the_cost_shows_the_most_expensive_attributes_first_and_how_many_more_there_are() -> None:
    shown = texts(cost(bars(24), points=False))
    assert shown[0] == "276,000 users, 11.5 % of a full resend"
    assert shown[1] == "23,000 of 100k Attribute 23"
    assert shown[2] == "22,000 of 100k Attribute 22"
    assert shown[-1] == f"and {23 - len(shown[1:-1])} more attributes"


def test_the_cost_counts_data_points_where_the_contract_does() -> None:
    assert texts(cost([bar("Tier", 3, 4)], points=True)) == [
        "6 data points, 75.0 % of a full resend",
        "6 of 8 Tier",
    ]


def test_a_bar_is_as_long_as_its_share_of_the_largest_full_resend() -> None:
    found = cost([bar("Whole", 40, 40), bar("Half", 20, 40)], points=True)
    (whole, _), (half, _) = drawn(found)
    assert half == whole / 2


def test_an_attribute_that_is_not_sent_has_no_bar() -> None:
    found = cost([bar("Tier", 0, 40), bar("City", 1, 40)], points=True)
    assert "Tier" not in "".join(texts(found))
    assert len(drawn(found)) == 1
    assert drawn(cost([bar("Tier", 0, 1819)], points=True)) == []


def test_the_send_shows_outcomes_throughput_and_latency() -> None:
    assert texts(EVERY["send"]) == [
        "1,857k accepted",
        "1,234 rejected",
        "5,000 not attempted",
        "1,864,000 users in 30.4 s, 61,316 users per second",
        "Answers: half in 42.0 ms, 99 % in 610 ms",
    ]


def test_a_send_without_requests_shows_that_there_was_nothing_to_send() -> None:
    assert "Nothing to send." in texts(send(NOTHING))


def test_throughput_is_users_between_two_points_by_the_time_between_them() -> None:
    assert rates([(2.0, 100), (2.0, 130), (4.0, 100), (5.0, 400)]) == [
        (0.0, 2.0, 50.0), (2.0, 4.0, 0.0), (4.0, 5.0, 300.0),
    ]  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_stays_text(name: str) -> None:
    for markdown in (
        cost([bar(name, 1, 2)], points=True),
        funnel(customers=2, excluded={name: 1}),
    ):
        tags = {element.tag.rpartition("}")[2] for element in tree(markdown).iter()}
        assert tags <= {"svg", "style", "rect", "text", "path"}
        assert "\n" not in markdown


def test_a_name_is_shown_unchanged_where_there_is_room() -> None:
    name = "<b> & 'x' \"y\" 5%25 #"
    assert f"2 of 4 {name}" in texts(cost([bar(name, 1, 2)], points=True))


@given(
    st.lists(
        st.builds(bar, st.text(max_size=300), st.integers(0, 10**12), st.integers(0, 10**12)),
        max_size=40,
    )
)
def test_whatever_the_attributes_are_the_chart_is_well_formed(
    attributes: list[AttributeCost],
) -> None:
    tree(cost(attributes, points=True))


@given(
    st.lists(st.tuples(st.floats(0, 1e5), st.integers(0, 10**9)), max_size=130),
    st.floats(0, 1e5),
    st.integers(0, 10**9),
)
@example(timeline=[(5e-324, 10**9), (1.0, 10**9)], seconds=5e-324, rejected=0)
def test_whatever_the_timeline_is_the_chart_is_well_formed(
    timeline: list[tuple[float, int]], seconds: float, rejected: int
) -> None:
    result = replace(SENT, timeline=tuple(timeline), seconds=seconds, rejected_users=rejected)
    assert "nan" not in svg(send(result))


def test_the_same_numbers_give_the_same_chart() -> None:
    assert funnel(customers=5894, excluded=dict(FUNNEL)) == EVERY["funnel"]
    assert cost(list(reversed(bars(24))), points=False) == EVERY["cost"]
    assert send(replace(SENT)) == EVERY["send"]
