"""What is on the pictures, read back out of the Markdown as a browser would."""

from __future__ import annotations

import base64
import re
from dataclasses import replace
from urllib.parse import unquote
from xml.etree import ElementTree as ET

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from braze_pipeline.orchestration.pictures import (
    AttributeBar,
    Figures,
    cost,
    cost_card,
    funnel,
    send,
    send_card,
)
from braze_pipeline.orchestration.pictures.outcomes import rates

IN_PLACE = 1000
"""From so many characters on Dagster's UI shows Markdown behind a click."""

LARGEST = 20_000

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

FIGURES = Figures(
    accepted=1_856_614,
    rejected=1_234,
    not_attempted=5_000,
    reasons={"'email' is not a valid email address": 1_200, "provided external_id is blocked": 34},
    timeline=[(0.5 * n, 31_000 * n + n % 7 * 1_000) for n in range(1, 61)],
    seconds=30.4,
    p50=0.042,
    p95=0.18,
    p99=0.61,
    stopped="Rate limit exhausted",
)
NOTHING = Figures(
    accepted=0, rejected=0, not_attempted=0, reasons={}, timeline=[], seconds=0, p50=0, p95=0, p99=0
)


def svg(markdown: str) -> str:
    """The SVG in an image, by the rules of CommonMark and of data addresses."""
    card = re.fullmatch(r"!\[[^\]]*\]\(data:image/svg\+xml;base64,([A-Za-z0-9+/=]+)\)", markdown)
    if card:
        return base64.b64decode(card[1]).decode()
    sketch = re.fullmatch(
        r"!\[[^\]]*\]\(<data:image/svg\+xml,((?:[^<>\\\n#&]|\\[<>])*)>\)", markdown
    )
    assert sketch, markdown
    return unquote(sketch[1].replace("\\<", "<").replace("\\>", ">"))


def tree(markdown: str) -> ET.Element:
    return ET.fromstring(svg(markdown))


def texts(markdown: str) -> list[str]:
    return [
        element.text or ""
        for element in tree(markdown).iter()
        if element.tag == "{http://www.w3.org/2000/svg}text"
    ]


def bars(count: int, *, name: str = "Attribute {}") -> list[AttributeBar]:
    return [AttributeBar(name.format(n), 1000 * n, 100_000 + n) for n in range(count)]


EVERY = {
    "funnel": funnel(customers=5894, left_out=FUNNEL),
    "funnel of nobody": funnel(customers=0, left_out=dict.fromkeys(FUNNEL, 0)),
    "funnel without rules": funnel(customers=7, left_out={}),
    "cost": cost(bars(24)),
    "cost of nothing": cost([AttributeBar("a", 0, 0)]),
    "cost without attributes": cost([]),
    "cost card": cost_card(bars(300)),
    "cost card without attributes": cost_card([]),
    "send": send(FIGURES),
    "send of nothing": send(NOTHING),
    "send card": send_card(FIGURES),
    "send card of nothing": send_card(NOTHING),
    "one request": send(replace(FIGURES, timeline=[(0.02, 2)])),
}


@pytest.mark.parametrize("name", EVERY)
def test_every_picture_is_well_formed_and_small(name: str) -> None:
    root = tree(EVERY[name])
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert len(EVERY[name]) < LARGEST


@pytest.mark.parametrize("name", EVERY)
def test_every_picture_brings_a_background_for_a_light_and_for_a_dark_page(name: str) -> None:
    assert "prefers-color-scheme:dark" in svg(EVERY[name])
    first = next(e for e in tree(EVERY[name]).iter() if e.tag.endswith("rect"))
    assert float(first.get("width", "0")) > 399


@pytest.mark.parametrize("name", EVERY)
def test_a_picture_refers_to_nothing_outside_of_itself(name: str) -> None:
    found = svg(EVERY[name]).replace("http://www.w3.org/2000/svg", "")
    assert not re.search(r"https?:|href|url\(|<script|<image|<foreignObject|\bon\w+=", found)


@pytest.mark.parametrize(
    "markdown",
    [
        EVERY["funnel"],
        funnel(customers=9_999_999, left_out=dict.fromkeys(FUNNEL, 3333333)),
        funnel(customers=10**12, left_out=dict.fromkeys(FUNNEL, 3 * 10**11)),
        cost(bars(24)),
        cost(bars(300, name="An attribute with a name of great length, number {}")),
        cost([AttributeBar(f"Attribute {n}", 12_345_678_901, 98_765_432_109) for n in range(50)]),
        send(FIGURES),
        send(replace(FIGURES, accepted=10**11, timeline=[(n / 3, n * 10**9) for n in range(120)])),
        send(NOTHING),
    ],
)
def test_what_is_to_be_seen_at_once_is_short_enough_for_the_ui_to_show_in_place(
    markdown: str,
) -> None:
    assert len(markdown) < IN_PLACE


def test_the_funnel_shows_who_is_left_after_each_rule_and_whom_it_left_out() -> None:
    assert texts(EVERY["funnel"]) == [
        "Customers", "5,894",
        "High value", "2,676 · 45.4 % · left out 3,218",
        "Active", "1,634 · 27.7 % · left out 1,042",
        "Contactable", "1,323 · 22.4 % · left out 311",
    ]  # fmt: skip


def test_a_share_that_is_not_none_and_not_all_does_not_look_like_it() -> None:
    found = funnel(customers=1_000_000, left_out={"active": 1, "contactable": 999_998})
    assert "999,999 · &gt; 99.9 % · left out 1".replace("&gt;", ">") in texts(found)
    assert "1 · < 0.1 % · left out 999,998" in texts(found)


def test_the_cost_shows_the_dearest_attributes_first_and_says_how_many_there_are() -> None:
    shown = texts(cost(bars(24)))
    assert shown[0] == "276,000 data points (11.5 % of a full resend), 24 attributes:"
    assert shown[1].startswith("23,000 of 100k Attribute 23")
    assert shown[2].startswith("22,000 of 100k Attribute 22")


def test_the_card_has_every_attribute_up_to_24_and_the_rest_in_one_line() -> None:
    shown = texts(cost_card(bars(30), unit="users", subject="as of 2026-11-22"))
    assert "435,000 users now; 3,000,435 in a full resend (14.5 %)" in shown
    assert "as of 2026-11-22" in shown
    assert [f"Attribute {n}" in shown for n in (29, 6, 5)] == [True, True, False]
    assert "6 others" in shown
    assert "15,000 / 600,015" in shown


def test_a_plan_in_which_nothing_changed_shows_no_cost() -> None:
    assert texts(cost([AttributeBar("Value Tier", 0, 40)])) == [
        "0 data points (0 % of a full resend)",
        "0 of 40 Value Tier",
    ]


def test_the_send_shows_outcomes_pace_and_latency() -> None:
    assert texts(EVERY["send"]) == [
        "1,857k accepted",
        "1,234 rejected",
        "5,000 not attempted",
        "1,864,000 users in 30.4 s, 61,316 users a second",
        "Answers: half in 42.0 ms, 99 % in 610 ms",
    ]


def test_the_card_of_a_send_shows_exact_counts_reasons_and_what_stopped_it() -> None:
    shown = texts(send_card(FIGURES, subject="as of 2026-11-22"))
    for text in (
        "1,856,614", "accepted, 99.7 %", "rejected, < 0.1 %", "not attempted, 0.3 %",
        "1,200", "'email' is not a valid email address", "provided external_id is blocked",
        "Stopped early: Rate limit exhausted", "42.0 ms", "180 ms", "610 ms",
    ):  # fmt: skip
        assert text in shown


def test_many_reasons_end_in_one_line_with_their_sum() -> None:
    shown = texts(send_card(replace(FIGURES, reasons={f"reason {n}": n for n in range(1, 21)})))
    assert "reason 20" in shown
    assert "15 other reasons" in shown
    assert str(sum(range(1, 16))) in shown


def test_a_send_without_requests_says_so() -> None:
    assert "Nothing to send." in texts(send(NOTHING))
    assert "No request was made." in texts(send_card(NOTHING))


def test_throughput_is_users_between_two_points_by_the_time_between_them() -> None:
    assert rates([(2.0, 100), (2.0, 130), (4.0, 100), (5.0, 400)]) == [
        (0.0, 2.0, 50.0), (2.0, 4.0, 0.0), (4.0, 5.0, 300.0),
    ]  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_stays_text(name: str) -> None:
    for markdown in (
        cost([AttributeBar(name, 1, 2)]),
        cost_card([AttributeBar(name, 1, 2)], subject=name),
        send_card(replace(FIGURES, reasons={name: 1}, stopped=name), subject=name),
        funnel(customers=2, left_out={name: 1}),
    ):
        tags = {element.tag.rpartition("}")[2] for element in tree(markdown).iter()}
        assert tags <= {"svg", "title", "style", "rect", "text", "path", "polygon"}
        assert "\n" not in markdown


def test_a_name_is_shown_as_it_is_where_there_is_room_for_it() -> None:
    name = "<b> & 'x' \"y\" 5%25 #"
    assert f"1 of 2 {name}" in texts(cost([AttributeBar(name, 1, 2)]))
    assert name in texts(cost_card([AttributeBar(name, 1, 2)]))


@given(
    st.lists(
        st.builds(
            AttributeBar, st.text(max_size=300), st.integers(0, 10**12), st.integers(0, 10**12)
        ),
        max_size=40,
    )
)
def test_whatever_the_attributes_are_the_pictures_are_well_formed(
    attributes: list[AttributeBar],
) -> None:
    tree(cost(attributes))
    tree(cost_card(attributes))


@given(
    st.lists(st.tuples(st.floats(0, 1e5), st.integers(0, 10**9)), max_size=130),
    st.floats(0, 1e5),
    st.integers(0, 10**9),
)
@example(timeline=[(5e-324, 10**9), (1.0, 10**9)], seconds=5e-324, rejected=0)
def test_whatever_the_timeline_is_the_pictures_are_well_formed(
    timeline: list[tuple[float, int]], seconds: float, rejected: int
) -> None:
    figures = replace(FIGURES, timeline=timeline, seconds=seconds, rejected=rejected)
    assert "nan" not in svg(send(figures))
    tree(send_card(figures))


def test_the_same_numbers_give_the_same_picture() -> None:
    assert funnel(customers=5894, left_out=dict(FUNNEL)) == EVERY["funnel"]
    assert cost(list(reversed(bars(24)))) == EVERY["cost"]
    assert send_card(replace(FIGURES)) == EVERY["send card"]
