"""What the user has lastingly chosen counts where no option says otherwise."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
import typer
from calls import BOB, FakeUi, agent, beside, listening
from recorded import hung_up, kept, read, until
from seeing import Pair, with_a_call
from virtual import Network, run_virtual

from p2pcall import events
from p2pcall.cli import options
from p2pcall.cli.app import app
from p2pcall.engine.policy import NEUTRAL_NAME, Announce, Answer
from p2pcall.engine.questions import QUESTION_REST_S
from p2pcall.engine.settings import CallSettings
from p2pcall.engine.stored_settings import as_chosen
from p2pcall.store.home import Home
from p2pcall.store.private_settings import PrivateSetting, keep_setting
from p2pcall.store.vault import Vault

CHOSEN = {"announce": "contacts", "answer": "never", "show-name": "off", "recording-days": 3}
DAY_S = 86_400


def typed(command: str, *argv: str) -> CallSettings:
    """The settings of a command as it is typed."""
    parser: Any = typer.main.get_command(app)
    return options.call_settings(parser.commands[command].make_context(command, [*argv]).params)


def four(settings: CallSettings) -> tuple[object, ...]:
    return settings.announce, settings.answer, settings.name, settings.recording_days


def test_what_is_chosen_comes_before_the_default_and_an_option_before_both() -> None:
    login = options.own_name(None)
    assert four(typed("listen")) == (Announce.PUBLIC, Answer.ASK, login, 30)
    assert four(as_chosen(typed("listen"), {})) == (Announce.PUBLIC, Answer.ASK, login, 30)
    chosen = (Announce.CONTACTS, Answer.NEVER, NEUTRAL_NAME, 3)
    assert four(as_chosen(typed("listen"), CHOSEN)) == chosen
    given = ["--announce", "public", "--answer", "ask", "--name", "jan"]
    assert four(as_chosen(typed("listen", *given), CHOSEN)) == (Announce.PUBLIC, Answer.ASK, "jan", 3)
    assert as_chosen(typed("dial", "bob"), CHOSEN).name == NEUTRAL_NAME
    assert as_chosen(typed("dial", "bob", "--name", "jan"), CHOSEN).name == "jan"


@pytest.mark.parametrize(
    "kept",
    [
        {"announce": "to the moon", "answer": 1, "show-name": "perhaps"},
        {"recording-days": 0},
        {"recording-days": 31},
        {"recording-days": "3"},
        {"recording-days": True},
    ],
)
def test_a_choice_that_a_newer_version_has_made_counts_as_none(kept: dict[str, str | int]) -> None:
    assert as_chosen(typed("listen"), kept) == typed("listen")


def test_settings_that_were_made_whole_are_not_touched() -> None:
    demo = CallSettings("demo", announce=Announce.OFF)
    assert as_chosen(demo, CHOSEN) == demo


def test_who_listens_takes_the_choices_from_the_vault(tmp_path: Path) -> None:
    async def scene() -> None:
        vault = Vault(Home.at(tmp_path / "bob"))
        beside(lambda: keep_setting(vault, PrivateSetting.ANNOUNCE, "off"))
        beside(lambda: keep_setting(vault, PrivateSetting.SHOW_NAME, "off"))
        unsaid = frozenset({"announce", "name"})
        bob = agent(tmp_path, "bob", FakeUi(), Network(), BOB, 2, announce=Announce.PUBLIC, unsaid=unsaid)
        beside(bob.prepare)
        task = await listening(bob)
        (told,) = bob.ui.of(events.Listening)
        assert (told.announce, told.name) == ("off", NEUTRAL_NAME)
        task.cancel()

    run_virtual(scene)


def test_a_recording_is_kept_for_as_long_as_was_chosen_and_the_other_side_is_told_so(tmp_path: Path) -> None:
    async def scene(pair: Pair) -> None:
        pair.alice_ui.press("r")
        await until(pair.bob_ui, "remote", "asked")
        _, wish, *_ = pair.bob_ui.view.hud.question
        assert wish == "alice asks, and would keep it for 1 day"
        await asyncio.sleep(QUESTION_REST_S)
        pair.bob_ui.press("y")
        await until(pair.alice_ui, "local", "on")
        await hung_up(pair)
        (path,) = kept(pair.alice)
        reader, _ = beside(lambda: read(pair.alice, path))
        assert reader.head.kept_days == 1
        assert reader.until == int(reader.head.agreed_at) + DAY_S

    with_a_call(tmp_path, scene, recording_days=1)
