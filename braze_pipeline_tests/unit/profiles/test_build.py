from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from braze_pipeline.braze import limits
from braze_pipeline.errors import (
    AccountingError,
    ConfigurationError,
    MissingRequiredField,
    NotBuilt,
)
from braze_pipeline.profiles import (
    built_with,
    made_from,
    preview,
    require_built_with,
    rule_for,
)
from braze_pipeline.settings import RecipientGroup, ValueType, replace
from braze_pipeline_tests.profiles_world import DAY, World, custom, field_of, template


def test_messy_contact_data_is_sent_in_the_form_that_braze_wants(world: World) -> None:
    t = template(
        field_of("first_name"),
        field_of("email"),
        field_of("phone", region_column="country"),
        field_of("country"),
        field_of("dob", date_order="dmy"),
        field_of("gender"),
        field_of("language"),
        field_of("time_zone"),
    )
    world.give(
        t,
        "SELECT 'a' AS customer_id, '  Anna   Maria ' AS first_name, 'ANNA@Example.COM' AS email, "
        "'07911 123456' AS phone, 'United Kingdom' AS country, '3/4/1980' AS dob, "
        "'Female' AS gender, 'en-GB' AS language, 'europe/london' AS time_zone",
    )
    world.build(t)
    row = world.profiles(t)["a"]
    assert row == {
        "__user_id": "a",
        "__customer_id": "a",
        "__held": [],
        "first_name": "Anna Maria",
        "email": "anna@example.com",
        "phone": "+447911123456",
        "country": "GB",
        "dob": date(1980, 4, 3),
        "gender": "F",
        "language": "en",
        "time_zone": "Europe/London",
    }
    assert world.rejections() == []


def test_a_bad_value_is_rejected_alone_and_reported_once_with_its_mask(world: World) -> None:
    t = template(field_of("email"), field_of("first_name"))
    world.give(t, "SELECT 'a' AS customer_id, 'anna(at)example' AS email, 'Anna' AS first_name")
    summary = world.build(t)
    row = world.profiles(t)["a"]
    assert row["email"] is None
    assert row["first_name"] == "Anna"
    assert row["__held"] == ["email"]
    rejected = world.con.execute(
        "SELECT attribute, reason, masked_value, row_rejected FROM records.rejections"
    ).fetchall()
    assert rejected == [("email", "email_unreadable", "xxxx(xx)xxxxxxx", False)]
    assert (summary.rejected_values, summary.rejected_rows) == (1, 0)
    assert summary.nulls == {"email": 0, "first_name": 0}


def test_a_rejection_names_the_limit_of_its_own_attribute(world: World) -> None:
    t = template(
        field_of("image_url"),
        field_of("first_name"),
        custom("Clan", ValueType.STRING, column="clan"),
    )
    text = "repeat('x', 3000)"
    world.give(
        t,
        f"SELECT 'a' AS customer_id, 'https://' || {text} AS image_url, {text} AS first_name, "
        f"{text} AS clan",
    )
    world.build(t)
    rows = world.con.execute("SELECT attribute, message FROM records.rejections ORDER BY ALL")
    assert rows.fetchall() == [
        ("Clan", f"must be: at most {limits.MAX_STRING} characters"),
        ("first_name", f"must be: at most {limits.MAX_STRING} characters"),
        ("image_url", f"must be: at most {limits.MAX_IMAGE_URL} characters"),
    ]


def test_a_bad_or_missing_required_value_rejects_the_whole_row(world: World) -> None:
    t = template(field_of("email", required=True), field_of("first_name"))
    world.give(
        t,
        "FROM (VALUES ('a', 'bad', 'Anna'), ('b', NULL, 'Ben'), ('c', 'c@example.com', 'Cat')) "
        "AS v(customer_id, email, first_name)",
    )
    summary = world.build(t)
    assert set(world.profiles(t)) == {"c"}
    assert world.reasons("email") == {"a": "email_unreadable", "b": "required_missing"}
    assert (summary.audience, summary.profiles, summary.rejected_rows) == (3, 1, 2)


def test_of_two_rows_of_one_user_always_the_same_one_is_sent(world: World) -> None:
    destination = replace(template().destination, identifier="braze_id")
    t = template(field_of("first_name"), destination=destination, identifier_column="braze_id")
    rows = "('1', 'x', 'Zoe'), ('2', 'x', 'Anna'), ('3', 'y', 'Ben'), ('4', NULL, 'Cat')"
    world.give(t, f"FROM (VALUES {rows}) AS v(customer_id, braze_id, first_name)")
    summary = world.build(t)
    assert {user: row["first_name"] for user, row in world.profiles(t).items()} == {
        "x": "Zoe",
        "y": "Ben",
    }
    assert world.rejections() == [
        ("2", None, "user_id_duplicate"),
        ("4", None, "user_id_missing"),
    ]
    assert summary.rejected_rows == 2


def test_an_identifier_that_is_too_long_for_braze_rejects_the_row(world: World) -> None:
    t = template(field_of("first_name"))
    world.give(
        t,
        "FROM (VALUES (repeat('é', 494), 'A'), (repeat('é', 493), 'B'), ('  ', 'C')) "
        "AS v(customer_id, first_name)",
    )
    world.build(t)
    assert [row["first_name"] for row in world.profiles(t).values()] == ["B"]
    assert [reason for _, _, reason in world.rejections()] == ["user_id_empty", "user_id_too_long"]


def test_attributes_outside_a_users_groups_are_suppressed_without_a_rejection(world: World) -> None:
    t = template(
        custom("Tier", ValueType.STRING),
        custom("Score", ValueType.INTEGER, required=True),
        kind="campaign",
        groups=(
            RecipientGroup(name="gold", where="true", attributes=("Tier", "Score")),
            RecipientGroup(name="all", where="true", attributes=("Tier",)),
        ),
    )
    world.groups = {"a": ["gold", "all"], "b": ["all"]}
    world.give(t, "FROM (VALUES ('a', 'x', '7'), ('b', 'y', 'bad')) AS v(customer_id, Tier, Score)")
    world.build(t)
    rows = world.profiles(t)
    assert (rows["a"]["Tier"], rows["a"]["Score"], rows["a"]["__held"]) == ("x", 7, [])
    assert (rows["b"]["Tier"], rows["b"]["Score"], rows["b"]["__held"]) == ("y", None, ["Score"])
    assert world.rejections() == []


def test_restricted_personal_data_is_nowhere_in_the_profiles(world: World) -> None:
    t = template(field_of("email"), custom("Tier", ValueType.STRING), restricted_pii=True)
    world.give(t, "SELECT 'a' AS customer_id, 'planted@example.com' AS email, 'gold' AS Tier")
    world.build(t)
    assert set(world.profiles(t)["a"]) == {"__user_id", "__customer_id", "__held", "Tier"}
    assert world.con.execute("SELECT count(*) FROM records.normalised_values").fetchone() == (0,)


def test_switching_personal_data_off_removes_it_from_other_days_too(world: World) -> None:
    t = template(field_of("email"), custom("Tier", ValueType.STRING))
    world.give(t, "SELECT 'a' AS customer_id, 'planted@example.com' AS email, 'gold' AS Tier")
    world.build(t)
    later = date(2011, 11, 2)
    world.give(
        t, "SELECT 'a' AS customer_id, 'planted@example.com' AS email, 'gold' AS Tier", later
    )
    world.build(replace(t, restricted_pii=True), later)
    assert set(world.profiles(t)["a"]) == {"__user_id", "__customer_id", "__held", "Tier"}


def test_a_new_attribute_is_suppressed_for_days_built_without_it(world: World) -> None:
    t = template(custom("Tier", ValueType.STRING))
    rows = "SELECT 'a' AS customer_id, 'gold' AS Tier, 7 AS Score"
    world.give(t, rows)
    world.build(t)
    later = date(2011, 11, 2)
    wider = template(custom("Tier", ValueType.STRING), custom("Score", ValueType.INTEGER))
    world.give(wider, rows, later)
    world.build(wider, later)
    assert world.profiles(t)["a"]["__held"] == ["Score"]
    assert world.profiles(t, later)["a"]["__held"] == []


def test_an_attribute_that_has_another_type_now_is_suppressed_for_earlier_days(
    world: World,
) -> None:
    t = template(custom("Score", ValueType.STRING))
    world.give(t, "SELECT 'a' AS customer_id, 'high' AS Score")
    world.build(t)
    later = date(2011, 11, 2)
    number = template(custom("Score", ValueType.INTEGER))
    world.give(number, "SELECT 'a' AS customer_id, 7 AS Score", later)
    world.build(number, later)
    assert world.profiles(t)["a"]["__held"] == ["Score"]
    assert world.profiles(number, later)["a"]["__held"] == []


def test_profiles_are_planned_only_by_the_settings_that_they_were_built_with(world: World) -> None:
    amount = custom("Amount", ValueType.FLOAT)
    t = template(amount, custom("Tier", ValueType.STRING))
    world.write(t, "SELECT 'a' AS customer_id, 1.25 AS Amount, 'gold' AS Tier")
    world.build(t)
    rounded = template(replace(amount, precision=1))
    for changed in (
        rounded,
        template(replace(amount, type=ValueType.INTEGER)),
        template(amount, custom("Points", ValueType.FLOAT, column="Amount")),
        replace(t, time_zone="Europe/Berlin"),
    ):
        assert not built_with(world.con, changed, DAY)
        with pytest.raises(NotBuilt):
            require_built_with(world.con, changed, [DAY])
    with pytest.raises(NotBuilt, match=r"of 2011-11-01 .* other settings of Amount\.") as error:
        require_built_with(world.con, rounded, [DAY])
    assert error.value.fix == "Run 2011-11-01 in full, from customer_attributes on."
    world.build(rounded)
    assert built_with(world.con, rounded, DAY)


def test_what_the_plan_decides_needs_no_new_profiles(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    amount = custom("Amount", ValueType.FLOAT)
    t = template(amount, custom("Tier", ValueType.STRING))
    world.write(t, "SELECT 'a' AS customer_id, 1.25 AS Amount, 'gold' AS Tier")
    world.build(t)
    monkeypatch.setattr(made_from, "software", lambda: ["a newer version"])
    assert built_with(
        world.con, template(replace(amount, on_leave="clear", send_null=False, pii=True)), DAY
    )


def test_of_days_that_an_earlier_version_built_only_types_are_compared(world: World) -> None:
    amount = custom("Amount", ValueType.FLOAT)
    t = template(amount)
    world.write(t, "SELECT 'a' AS customer_id, 1.25 AS Amount")
    world.build(t)
    world.con.execute("UPDATE records.days SET made_from = regexp_replace(made_from, ',[^ ]*', '')")
    assert built_with(world.con, template(replace(amount, precision=1)), DAY)
    assert not built_with(world.con, template(replace(amount, type=ValueType.INTEGER)), DAY)


def test_a_rerun_replaces_the_day_and_its_rejections(world: World) -> None:
    t = template(field_of("email"))
    world.give(t, "SELECT 'a' AS customer_id, 'bad' AS email")
    world.build(t)
    world.give(t, "SELECT 'a' AS customer_id, 'good@example.com' AS email")
    summary = world.build(t)
    assert world.rejections() == []
    assert world.profiles(t)["a"]["email"] == "good@example.com"
    assert summary.profiles == 1


def test_only_raw_values_that_no_run_has_seen_are_read(world: World) -> None:
    t = template(field_of("email"), field_of("country"))
    rows = "('a', 'A@x.org', 'Eire'), ('b', 'B@x.org', 'Eire'), ('c', 'c@x.org', 'FR')"
    world.give(t, f"FROM (VALUES {rows}) AS v(customer_id, email, country)")
    assert world.build(t).new_raw_values == 3
    assert world.build(t).new_raw_values == 0
    world.give(
        t, f"FROM (VALUES {rows}, ('d', 'D@x.org', 'Eire')) AS v(customer_id, email, country)"
    )
    assert world.build(t).new_raw_values == 1


def test_the_preview_masks_personal_data_and_identifiers(world: World) -> None:
    t = template(field_of("email"), custom("Tier", ValueType.STRING))
    world.give(t, "SELECT 'c-17' AS customer_id, 'anna@example.com' AS email, 'gold' AS Tier")
    world.build(t)
    assert preview(world.con, t, DAY) == [
        {"external_id": "x-99", "email": "xxxx@xxxxxxx.xxx", "Tier": "gold"}
    ]


def test_consent_columns_are_counted_and_never_sent(world: World) -> None:
    t = template(custom("Tier", ValueType.STRING), dropped=("email_subscribe",))
    world.give(
        t,
        "FROM (VALUES ('a', 'x', 'opted_in'), ('b', 'y', NULL)) "
        "AS v(customer_id, Tier, email_subscribe)",
    )
    assert world.build(t).dropped == 1
    assert "email_subscribe" not in world.profiles(t)["a"]


def test_a_missing_column_is_named(world: World) -> None:
    t = template(custom("Tier", ValueType.STRING, column="tier"))
    world.give(t, "SELECT 'a' AS customer_id")
    with pytest.raises(ConfigurationError, match="'tier'"):
        world.build(t)


def test_a_template_without_its_identifier_says_which_column_is_missing(world: World) -> None:
    t = template(custom("Tier", ValueType.STRING), identifier_column="braze_id")
    world.give(t, "SELECT 'a' AS customer_id, 'x' AS Tier")
    with pytest.raises(MissingRequiredField, match="braze_id"):
        world.build(t)


def test_audience_members_without_attributes_are_never_lost_silently(world: World) -> None:
    t = template(custom("Tier", ValueType.STRING))
    world.give(t, "SELECT 'a' AS customer_id, 'x' AS Tier")
    world.con.execute("INSERT INTO loyal.audience VALUES (?, 'ghost', NULL, [])", [DAY])
    with pytest.raises(AccountingError):
        world.build(t)


def test_a_day_that_does_not_add_up_is_not_written(world: World) -> None:
    t = template(custom("Tier", ValueType.STRING))
    world.give(t, "SELECT 'a' AS customer_id, 'x' AS Tier")
    world.con.execute("INSERT INTO loyal.audience VALUES (?, 'ghost', NULL, [])", [DAY])
    with pytest.raises(AccountingError):
        world.build(t)
    shown = world.con.execute("SELECT table_name FROM duckdb_tables() WHERE schema_name = 'loyal'")
    assert {name for (name,) in shown.fetchall()} == {"customer_attributes", "audience"}


def test_each_attribute_has_its_rule_in_words() -> None:
    assert "E.164" in rule_for(field_of("phone"))
    assert "255" in rule_for(custom("Tier", ValueType.STRING))
    rounded = custom("Value", ValueType.FLOAT, precision=1)
    assert rule_for(rounded) == "a number; finite; rounded to 1 decimal place"
    assert rule_for(custom("Orders", ValueType.INTEGER)) == "an integer; from -2^53 to 2^53"
    assert rule_for(custom("Pet", ValueType.OBJECT)).count("an object") == 1
    assert rule_for(custom("Vip", ValueType.BOOLEAN)) == "true or false"


def test_the_same_rows_give_the_same_profiles_after_a_restart(world: World) -> None:
    t = template(field_of("email"), custom("Items", ValueType.ARRAY, array_as="set"))
    world.give(t, "SELECT 'a' AS customer_id, 'A@x.org' AS email, ['b', 'a', 'b'] AS Items")
    world.build(t)
    first = world.profiles(t)
    world.build(t)
    assert world.profiles(t) == first
    assert first["a"]["Items"] == ["a", "b"]


def utc(*parts: int) -> datetime:
    year, month, day, *clock = (*parts, 0, 0, 0, 0)[:7]
    hour, minute, second, fraction = clock
    moment = datetime(year, month, day, hour, minute, second, fraction, tzinfo=UTC)
    return moment.replace(tzinfo=None)


def test_times_in_the_brands_time_zone_are_sent_in_utc(world: World) -> None:
    t = template(
        custom("Local", ValueType.TIME),
        custom("Instant", ValueType.TIME),
        custom("Day", ValueType.TIME),
        custom("Text", ValueType.TIME),
        custom("First", ValueType.DATE),
        time_zone="Europe/London",
    )
    world.give(
        t,
        "SELECT 'a' AS customer_id, TIMESTAMP '2011-07-01 00:30:00.123456' AS Local, "
        "TIMESTAMPTZ '2011-07-01 00:30:00+02' AS Instant, DATE '2011-07-01' AS Day, "
        "'2011-07-01 00:30' AS Text, TIMESTAMP '2011-07-01 00:30:00' AS First",
    )
    world.build(t)
    row = world.profiles(t)["a"]
    assert row["Local"] == utc(2011, 6, 30, 23, 30, 0, 123000)
    assert row["Instant"] == utc(2011, 6, 30, 22, 30)
    assert row["Day"] == utc(2011, 7, 1)
    assert row["Text"] == utc(2011, 6, 30, 23, 30)
    assert row["First"] == date(2011, 7, 1)


def test_nested_values_are_sent_as_canonical_json(world: World) -> None:
    t = template(
        custom("Store", ValueType.OBJECT),
        custom("Orders", ValueType.OBJECTS),
        field_of("current_location"),
    )
    world.give(
        t,
        "SELECT 'a' AS customer_id, {'z': 1, 'a': DATE '2011-07-01'} AS Store, "
        '\'[{"b": 1.5, "a": "x"}]\' AS Orders, '
        "{'latitude': 51.5, 'longitude': -0.1} AS current_location",
    )
    world.build(t)
    row = world.profiles(t)["a"]
    assert row["Store"] == '{"a":{"$time":"2011-07-01T00:00:00.000Z"},"z":1}'
    assert row["Orders"] == '[{"a":"x","b":1.5}]'
    assert row["current_location"] == '{"latitude":51.5,"longitude":-0.1}'
