"""The open workflow actions are an asset: what needs a person, with the steps, is in the UI."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import dagster as dg

from braze_pipeline.errors import CredentialsMissing
from braze_pipeline_tests.receivers import HttpReceiver
from braze_pipeline_tests.watched_world import NEXT_DAY, World, template

KEY = dg.AssetKey("workflow_actions")


def shown(world: World, key: dg.AssetKey = KEY) -> Mapping[str, dg.MetadataValue]:
    event = world.instance.get_latest_materialization_event(key)
    assert event is not None
    assert event.asset_materialization is not None
    return event.asset_materialization.metadata


def described(world: World) -> str | None:
    event = world.instance.get_latest_materialization_event(KEY)
    assert event is not None
    assert event.asset_materialization is not None
    return event.asset_materialization.description


def reports(world: World) -> int:
    return len(world.instance.fetch_materializations(KEY, limit=100).records)


def test_an_open_action_is_shown_with_cause_run_and_steps_until_it_is_resolved(
    world: World,
) -> None:
    world.tick()
    assert reports(world) == 0
    world.raises["braze_send"] = CredentialsMissing("BRAZE_API_KEY is not set.", fix="Set it.")
    failed = world.run()
    world.tick()

    found = shown(world)
    assert found["open actions"].value == 1
    assert described(world) == "1 open workflow action."
    (row,) = str(found["actions"].value).splitlines()[2:]
    assert f"| 1 | No credentials | loyal | 2026-03-01 | 1 | [{failed.run_id[:8]}]" in row
    text = str(found["action 1"].value)
    assert "BRAZE_API_KEY is not set. Set it." in text
    assert "1. In Braze, open Settings" in text
    assert "`braze-pipeline actions resolve 1`" in text
    assert f"(/runs/{failed.run_id})" in text

    world.tick()
    assert reports(world) == 1, "nothing new, so nothing is reported"
    world.run(day=NEXT_DAY)
    world.tick()
    assert "| 2 |" in str(shown(world)["actions"].value).splitlines()[2]

    world.raises.clear()
    world.run(day=NEXT_DAY)
    world.tick()
    assert shown(world)["open actions"].value == 0
    assert shown(world)["actions"].value == "none"
    assert reports(world) == 3


def test_an_action_that_a_command_closes_leaves_the_ui_with_the_next_tick(world: World) -> None:
    world.raises["braze_plan"] = ValueError("broken")
    world.run()
    world.tick()
    world.store.close(world.one().number, how="by hand", at=world.now())
    world.tick()
    assert shown(world)["open actions"].value == 0


def test_notifications_link_to_the_open_actions_of_their_destination(
    make_world: Callable[..., World], http: HttpReceiver
) -> None:
    world = make_world(
        templates=(template(destination="shop"),),
        environ={
            "BRAZE_PIPELINE_WEBHOOK": f"{http.url}/hook",
            "BRAZE_PIPELINE_SLACK_WEBHOOK": f"{http.url}/slack",
            "BRAZE_PIPELINE_UI_URL": "http://127.0.0.1:3000/",
        },
    )
    world.raises["braze_send"] = CredentialsMissing("No key.", fix="Set it.")
    failed = world.run()
    world.tick()
    link = "http://127.0.0.1:3000/assets/shop/workflow_actions"
    assert http.bodies("/hook")[0]["actions_url"] == link
    assert f"Open actions: {link}" in http.bodies("/slack")[0]["text"]
    found = shown(world, dg.AssetKey(["shop", "workflow_actions"]))
    assert f"(http://127.0.0.1:3000/runs/{failed.run_id})" in str(found["action 1"].value)
