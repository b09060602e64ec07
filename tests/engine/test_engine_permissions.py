"""What a contact is allowed: who rings, is answered without asking, with what; in the next call."""

import asyncio
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from calls import FakeUi, agent, dial
from eavesdrop import seen_by_a_caller
from permitted import CAROL, FILMED, GIVEN, PICTURE, SECRET, SOUND, STANDING, Scene, played
from virtual import run_virtual

from p2pcall import events
from p2pcall.engine import caller as calling
from p2pcall.engine.offload import offload
from p2pcall.engine.passcode_gate import PasscodeGate
from p2pcall.engine.policy import Answer
from p2pcall.engine.user_agent import UserAgent
from p2pcall.errors import ExitCode, P2PCallError
from p2pcall.factor.passcode import CODE_STEP_S, code_at
from p2pcall.net.address import DEFAULT_PORT, Target
from p2pcall.proto.messages import Reason
from p2pcall.proto.wire import DatagramType
from p2pcall.store.contacts import Contacts
from p2pcall.store.home import Home
from p2pcall.types import Reach

# ---- may ring


def forbidden_to_ring(book: Contacts, carol: UserAgent) -> None:
    """carol is a contact who may not ring, whatever else she may."""
    book.pin("carol", carol.identity.public, 0.0)
    book.permit("carol", may_ring=False, sound_unasked=True)


def nothing(book: Contacts, carol: UserAgent) -> None:
    """carol is a stranger."""


@pytest.mark.parametrize(
    ("answer", "rule"), [("later", Answer.ASK), (None, Answer.ASK), (None, Answer.NEVER)]
)
def test_a_contact_who_may_not_ring_gets_exactly_what_a_stranger_gets_who_is_not_answered(
    tmp_path: Path, answer: str | None, rule: Answer
) -> None:
    contact, told = seen_by_a_caller(tmp_path / "contact", forbidden_to_ring, answer, rule)
    stranger, _ = seen_by_a_caller(tmp_path / "stranger", nothing, answer, rule)
    assert contact == stranger
    assert told == [], "the owner is not bothered"


@pytest.mark.parametrize("rule", [Answer.CONTACTS, Answer.ANYONE])
def test_a_contact_who_may_not_ring_is_not_answered_where_contacts_or_anyone_are(
    tmp_path: Path, rule: Answer
) -> None:
    (_, _, reason), told = seen_by_a_caller(tmp_path, forbidden_to_ring, "later", rule)
    assert (reason, told) == ("no-answer", [])


def test_a_contact_who_may_not_ring_gets_not_one_byte_where_only_contacts_ring_until_they_may(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def locate(side: UserAgent, target: Target) -> calling.Location:
        return calling.Location([(target.host, DEFAULT_PORT)], side.trust.expected_key("bob"), "bob")

    monkeypatch.setattr(calling, "locate", locate)

    async def work(scene: Scene) -> None:
        alice = Contacts(Home.at(scene.folder / "alice"))
        await offload(partial(alice.pin, "bob", scene.bob.identity.public, 0.0))
        await scene.permit(may_ring=False)
        said = len(scene.network.seen)
        with pytest.raises(P2PCallError) as caught:
            await scene.call()
        assert caught.value.exit is ExitCode.NOT_FOUND
        kinds = {data[0] for data in scene.network.seen[said:]}
        assert not kinds & {DatagramType.COOKIE, DatagramType.RESPONSE}, "a knock was answered"
        assert [(one.slug, one.text) for one in scene.bob_ui.of(events.Warning)] == [
            ("contacts-gone", "alice: not allowed to ring, and no longer let in as a contact"),
            (
                "no-contacts",
                "nobody can ring here: only contacts can, and none of them may "
                "(`--reach anyone` lets others ring)",
            ),
        ]
        await scene.permit(may_ring=True)
        assert (await scene.call()).reason == "no-answer"
        assert len(scene.bob_ui.of(events.Incoming)) == 1

    played(tmp_path, work, reach=Reach.CONTACTS)


def test_a_home_whose_contacts_may_not_ring_does_not_open_to_anyone(tmp_path: Path) -> None:
    async def work() -> None:
        scene = Scene(tmp_path, reach=None)
        await scene.permit(may_ring=False)
        scene.bob.home.settings_path.unlink()
        scene.bob.let_in()
        assert scene.bob.node.endpoint.reach is Reach.CONTACTS

    run_virtual(work)


@pytest.mark.parametrize(("how", "stranger"), [("forbid", False), ("block", False), ("block", True)])
def test_a_ring_stops_when_it_is_forbidden_and_the_caller_hears_it_go_on(
    tmp_path: Path, how: str, stranger: bool
) -> None:
    async def work(scene: Scene) -> None:
        if stranger:
            await scene.change("remove", "alice")
        person = scene.bob_ui
        questions: list[Any] = []
        asked = person.ask
        person.ask = lambda *args, **given: questions.append(asked(*args, **given)) or questions[-1]  # type: ignore[method-assign, func-returns-value]
        calling = asyncio.ensure_future(dial(scene.caller(ring_timeout_s=200.0)))
        await scene.alice_ui.wait(events.Ringing)
        if how == "block":
            await scene.change("block", scene.alice.identity.fingerprint, 0.0)
        else:
            await scene.permit(may_ring=False)
        ended = await person.wait(events.Ended)
        assert (ended.reason, questions[0].cancelled()) == ("missed", True)
        began = asyncio.get_running_loop().time()
        assert not calling.done()
        carol = agent(scene.folder, "carol", FakeUi(), scene.network, CAROL, 3, ring_timeout_s=5.0)
        assert (await dial(carol)).reason == "busy", "as if alice still rang"
        assert (await calling).reason == "no-answer"
        assert 115 < asyncio.get_running_loop().time() - began < 125, "as any other who is not answered"
        assert len(scene.alice_ui.of(events.Ringing)) == 1
        assert len(person.of(events.Incoming)) == 1

    played(tmp_path, work)


def test_a_stranger_who_is_blocked_while_a_contact_comes_first_does_not_ring_again(tmp_path: Path) -> None:
    async def work(scene: Scene) -> None:
        await scene.permit(sound_unasked=True)
        carol_ui = FakeUi()
        carol = agent(scene.folder, "carol", carol_ui, scene.network, CAROL, 3, ring_timeout_s=60.0)
        stranger = asyncio.ensure_future(dial(carol))
        await carol_ui.wait(events.Ringing)
        calling = await scene.up()
        await scene.change("block", carol.identity.fingerprint, 0.0)
        calling.cancel()
        for line in list(scene.alice.node._lines.values()):
            line.hang_up(Reason.HUNG_UP)
        await scene.bob_ui.wait(events.Ended, 2)
        assert [one.name for one in scene.bob_ui.of(events.Incoming)] == ["carol", "alice"]
        assert (await stranger).reason == "no-answer"
        assert len(scene.bob_ui.of(events.Incoming)) == 2

    played(tmp_path, work)


def test_who_may_not_ring_can_be_called_and_gets_not_one_byte_of_a_dialler_either(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def work() -> None:
        scene = Scene(tmp_path)
        await scene.permit(may_ring=False)
        trust, key = scene.bob.trust, scene.alice.identity.public
        assert trust.expected_key("alice") == key
        assert trust.permissions.callees() == [key]
        assert not trust.let_in() and not trust.permissions.lets_in(key)

        async def locate(side: UserAgent, target: Target) -> calling.Location:
            bobs = scene.bob.identity.public if side is scene.alice else None
            return calling.Location([(target.host, DEFAULT_PORT)], bobs, None)

        monkeypatch.setattr(calling, "locate", locate)
        dialling = asyncio.ensure_future(dial(scene.bob, CAROL))
        await asyncio.sleep(0.1)
        with pytest.raises(P2PCallError):
            await dial(scene.caller())
        with pytest.raises(P2PCallError):
            await dialling
        kinds = {data[0] for data in scene.network.seen}
        assert kinds == {DatagramType.KNOCK}, "nobody has answered anybody"

    run_virtual(work)


# ---- answered without asking


def test_a_contact_is_answered_without_asking_with_sound_alone_even_where_a_picture_was_named(
    tmp_path: Path,
) -> None:
    async def work(scene: Scene) -> None:
        await scene.permit(sound_unasked=True)
        assert (await scene.call(media=FILMED)).exit is ExitCode.OK
        assert (scene.answered(), scene.told()) == ([False], [(SOUND, STANDING)])
        assert scene.bob_ui.offered_camera is None, "nobody was asked"
        assert scene.bob_ui.said == ["alice is answered without asking, as you allow"]
        await scene.permit(picture_unasked=True)
        assert (await scene.call()).exit is ExitCode.OK
        assert scene.answered() == [False, True]
        assert scene.told()[1:] == [(SOUND, STANDING), (PICTURE, STANDING)]
        await scene.permit(sound_unasked=False)
        assert (await scene.call()).reason == "no-answer"
        assert len(scene.answered()) == 2
        assert scene.bob_ui.offered_camera is True, "a person is asked again"

    played(tmp_path, work)


def test_a_permission_is_one_contacts_alone(tmp_path: Path) -> None:
    async def work(scene: Scene) -> None:
        await scene.permit(sound_unasked=True)
        carol = agent(scene.folder, "carol", FakeUi(), scene.network, CAROL, 3, ring_timeout_s=5.0)
        assert (await dial(carol)).reason == "no-answer"
        await scene.change("pin", "carol", carol.identity.public, 1.0)
        carol = agent(scene.folder, "carol", FakeUi(), scene.network, CAROL, 4, ring_timeout_s=5.0)
        assert (await dial(carol)).reason == "no-answer"
        assert not scene.answered()

    played(tmp_path, work)


def test_a_picture_that_the_options_give_needs_no_permission_and_is_not_laid_to_one(tmp_path: Path) -> None:
    async def work(scene: Scene) -> None:
        await scene.permit(sound_unasked=True)
        assert (await scene.call()).exit is ExitCode.OK
        assert (scene.answered(), scene.told()) == ([True], [(SOUND, GIVEN), (PICTURE, GIVEN)])

    played(tmp_path, work, answer=Answer.CONTACTS)


def test_with_sound_only_no_permission_opens_the_camera(tmp_path: Path) -> None:
    async def work(scene: Scene) -> None:
        await scene.permit(sound_unasked=True, picture_unasked=True)
        assert (await scene.call()).exit is ExitCode.OK
        assert (scene.answered(), scene.told()) == ([False], [(SOUND, STANDING)])

    played(tmp_path, work, sound_only=True)


def test_who_answers_nobody_answers_nobody_with_a_permission_either(tmp_path: Path) -> None:
    async def work(scene: Scene) -> None:
        await scene.permit(sound_unasked=True, picture_unasked=True)
        await offload(partial(scene.bob.trust.factors.require_unasked, SECRET))
        assert (await scene.call()).reason == "declined", "and no code is wanted for that"
        assert not scene.answered()

    played(tmp_path, work, answer=Answer.NEVER)


def test_the_code_comes_before_the_permission(tmp_path: Path) -> None:
    """Both the contact's own, and the one of whoever is answered without asking."""

    async def work(scene: Scene) -> None:
        factors = scene.bob.trust.factors
        await scene.permit(sound_unasked=True)
        await offload(partial(factors.require_unasked, SECRET))
        assert (await scene.call()).reason == "no-code"
        await offload(partial(factors.require_unasked, None))
        await offload(partial(factors.require, scene.alice.identity.public, SECRET))
        assert (await scene.call()).reason == "no-code"
        assert not scene.answered() and not scene.told()
        scene.caller()
        now = int(scene.bob.env.clock.time() // CODE_STEP_S)
        scene.alice_ui.codes = [code_at(SECRET, now).decode()]
        assert (await dial(scene.alice)).exit is ExitCode.OK
        assert scene.answered() == [False]

    played(tmp_path, work)


def test_a_permission_that_comes_after_the_code_was_not_asked_for_does_not_replace_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """This call is asked about, the next one has to give the code."""
    passes = PasscodeGate.passes

    async def work(scene: Scene) -> None:
        await offload(partial(scene.bob.trust.factors.require_unasked, SECRET))

        async def allowed_then(gate: PasscodeGate, *args: Any, **given: Any) -> bool:
            passed = await passes(gate, *args, **given)
            await scene.permit(sound_unasked=True)
            return passed

        monkeypatch.setattr(PasscodeGate, "passes", allowed_then)
        assert (await scene.call()).reason == "no-answer"
        assert len(scene.bob_ui.of(events.Incoming)) == 1
        assert (await scene.call()).reason == "no-code"
        assert not scene.answered()

    played(tmp_path, work)
