"""Permissions that are taken back in a call, and contacts who change: what stays allowed, and what does not."""

import asyncio
from functools import partial
from pathlib import Path

import pytest
from calls import ALICE, BOB, FakeUi, agent, beside, dial, listening
from eavesdrop import Person
from permitted import EVE, GIVEN, PICTURE, SOUND, STANDING, WITHDRAWN, Scene, played
from virtual import Network, run_virtual

from p2pcall import events
from p2pcall.engine.offload import offload
from p2pcall.errors import ExitCode
from p2pcall.store.contacts import Contacts
from p2pcall.store.home import Home
from p2pcall.types import Reach

# ---- taken back in a call


@pytest.mark.parametrize("how", ["forbid", "ring", "block", "remove"])
def test_what_rests_on_a_permission_is_off_within_a_second_after_it_was_taken_back(
    tmp_path: Path, how: str
) -> None:
    async def work(scene: Scene) -> None:
        await scene.permit(sound_unasked=True, picture_unasked=True)
        calling = await scene.up()
        hud = scene.bob_ui.view
        assert hud.hud.video_on and not hud.hud.muted
        match how:
            case "forbid":
                await scene.permit(sound_unasked=False)
            case "ring":
                await scene.permit(may_ring=False)
            case "block":
                await scene.change("block", scene.alice.identity.fingerprint, 0.0)
            case _:
                await scene.change("remove", "alice")
        await asyncio.sleep(1.0)
        assert not hud.hud.video_on and hud.hud.muted
        assert scene.told() == [
            *((SOUND, STANDING), (PICTURE, STANDING)),
            *((SOUND, WITHDRAWN), (PICTURE, WITHDRAWN)),
        ]
        (warning,) = (one for one in scene.bob_ui.of(events.Warning) if one.slug == "permission-withdrawn")
        assert warning.text == "alice may not be answered without asking any more: sound and picture off"
        assert not calling.done(), "a person may go on"
        scene.bob_ui.press("m")
        await asyncio.sleep(5.0)
        assert not hud.hud.muted, "which is their own consent"
        assert scene.told()[-1] == (SOUND, GIVEN)
        assert (await calling).exit is ExitCode.OK

    played(tmp_path, work)


def test_a_picture_that_is_not_allowed_any_more_leaves_the_sound(tmp_path: Path) -> None:
    async def work(scene: Scene) -> None:
        await scene.permit(sound_unasked=True, picture_unasked=True)
        calling = await scene.up()
        await scene.permit(picture_unasked=False)
        await asyncio.sleep(1.0)
        assert not scene.bob_ui.view.hud.video_on and not scene.bob_ui.view.hud.muted
        assert scene.told()[2:] == [(PICTURE, WITHDRAWN)]
        await scene.permit(picture_unasked=True)
        await asyncio.sleep(5.0)
        assert not scene.bob_ui.view.hud.video_on, "nothing is switched on from outside"
        calling.cancel()

    played(tmp_path, work)


def test_what_a_person_or_an_option_has_given_is_not_taken_back_with_a_permission(tmp_path: Path) -> None:
    async def work(scene: Scene) -> None:
        scene.bob_ui.answer = "video"
        calling = await scene.up()
        await scene.permit(sound_unasked=True, picture_unasked=True)
        await asyncio.sleep(2.0)
        await scene.permit(sound_unasked=False, picture_unasked=False)
        await asyncio.sleep(2.0)
        assert scene.bob_ui.view.hud.video_on and not scene.bob_ui.view.hud.muted
        assert scene.told() == [(SOUND, GIVEN), (PICTURE, GIVEN)]
        calling.cancel()

    played(tmp_path, work)


def test_contacts_that_cannot_be_read_take_nothing_back(tmp_path: Path) -> None:
    async def work(scene: Scene) -> None:
        await scene.permit(sound_unasked=True)
        calling = await scene.up()
        scene.bob.home.vault_path.write_bytes(b"{")
        await asyncio.sleep(3.0)
        assert not scene.bob_ui.view.hud.muted
        calling.cancel()

    played(tmp_path, work)


# ---- the contact changes


def test_a_renamed_contact_keeps_the_permissions_and_the_free_name_gives_nobody_any(tmp_path: Path) -> None:
    async def work(scene: Scene) -> None:
        await scene.permit(sound_unasked=True)
        calling = await scene.up()
        await scene.change("rename", "alice", "alison")
        await asyncio.sleep(3.0)
        assert not scene.bob_ui.view.hud.muted
        assert (await calling).exit is ExitCode.OK
        assert (await scene.call()).exit is ExitCode.OK
        assert scene.bob_ui.of(events.Connected)[-1].name == "alison"
        for name in ("alice", "alison"):
            eve = agent(scene.folder / name, name, FakeUi(), scene.network, EVE, 9, ring_timeout_s=5.0)
            assert (await dial(eve)).reason == "no-answer"
        assert len(scene.answered()) == 2

    played(tmp_path, work)


def test_a_removed_contact_who_pairs_again_is_allowed_what_a_new_one_is(tmp_path: Path) -> None:
    async def work(scene: Scene) -> None:
        await scene.permit(sound_unasked=True, picture_unasked=True, sees_announced=False)
        await scene.change("remove", "alice")
        await scene.change("pin", "alice", scene.alice.identity.public, 5.0)
        assert (await scene.call()).reason == "no-answer"
        assert not scene.answered()
        contact = scene.bob.trust.permissions.contact(scene.alice.identity.public)
        assert contact is not None and contact.allowed == ("ring", "presence")

    played(tmp_path, work)


def test_a_person_who_is_asked_sees_one_question_a_call(tmp_path: Path) -> None:
    """A change of other permissions does not ask anew."""

    async def scene() -> None:
        network, ui = Network(), Person()
        bob = agent(tmp_path, "bob", ui, network, BOB, 2, reach=Reach.ANYONE)
        alice = agent(tmp_path, "alice", FakeUi(), network, ALICE, 1, ring_timeout_s=20.0)
        book = Contacts(Home.at(tmp_path / "bob"))
        beside(partial(book.pin, "alice", alice.identity.public, 0.0))
        task = await listening(bob)
        calling = asyncio.ensure_future(dial(alice))
        await ui.wait(events.Incoming)
        await offload(partial(book.permit, "alice", sees_announced=False))
        assert (await calling).reason == "no-answer"
        assert len(ui.questions) == 1
        task.cancel()

    run_virtual(scene)
