"""The key `i`: what is shown to compare, and what yes, no and other keys do: to the contacts, the call, the events."""

import asyncio
from pathlib import Path

import pytest
from calls import BOB
from seeing import Pair, with_a_call

from p2pcall import events
from p2pcall.engine import keys
from p2pcall.engine.trust import TrustStore
from p2pcall.engine.verification import Verification
from p2pcall.errors import ExitCode
from p2pcall.store.contact import SHORT_FINGERPRINT, Contact
from p2pcall.store.contacts import Contacts
from p2pcall.store.home import Home
from p2pcall.store.identity import fingerprint

KEY, OWN = b"b" * 32, b"m" * 32


def test_both_sides_are_shown_the_same_words_and_number(tmp_path: Path) -> None:
    async def scene(pair: Pair) -> None:
        for ui in (pair.alice_ui, pair.bob_ui):
            assert ui.view.hud.safety == ()
            ui.press("?")
            ui.press("i")
        here, there = pair.alice_ui.view.hud, pair.bob_ui.view.hud
        assert here.show_verify and there.show_verify
        assert not here.show_help
        assert here.words == there.words
        assert len(here.words) == 4
        assert here.safety == there.safety
        assert len(here.safety) == 12
        assert here.protocol.startswith("Noise_XX")
        pair.alice_ui.press("ctrl-c")
        await pair.end()

    with_a_call(tmp_path, scene)


def test_yes_makes_a_verified_contact_at_once_and_for_ever(tmp_path: Path) -> None:
    async def scene(pair: Pair) -> None:
        pair.alice_ui.press("i")
        pair.alice_ui.press("y")
        await pair.alice_ui.wait(events.Verified)
        told = pair.alice_ui.of(events.Verified)
        assert [(event.name, event.known) for event in told] == [("bob", "verified")]
        assert told[0].fingerprint == pair.bob.identity.fingerprint
        assert told[0].call == pair.alice_ui.of(events.Connected)[0].call
        hud = pair.alice_ui.view.hud
        assert (hud.known, hud.show_verify, hud.notice) == ("verified", False, "bob is verified")
        pair.alice_ui.press("q")
        ours, theirs = await pair.end()
        assert ours.exit is theirs.exit is ExitCode.OK
        assert [(one.name, one.verified) for one in pair.known("alice")] == [("bob", True)]
        assert pair.known("bob") == [], "one side's word is not the other's"

    with_a_call(tmp_path, scene)
    again: list[str] = []

    async def next_call(pair: Pair) -> None:
        again.append(pair.alice_ui.of(events.Connected)[0].known)
        again.append(pair.alice_ui.view.hud.known)
        pair.alice_ui.press("q")
        await pair.end()

    with_a_call(tmp_path, next_call)
    assert again == ["verified", "verified"]


def test_yes_keeps_a_caller_who_was_answered_without_asking(tmp_path: Path) -> None:
    async def scene(pair: Pair) -> None:
        assert pair.known("bob") == []
        pair.bob_ui.press("i")
        pair.bob_ui.press("y")
        pair.bob_ui.press("q")
        await pair.end()
        assert [(one.name, one.public, one.verified) for one in pair.known("bob")] == [
            ("alice", pair.alice.identity.public, True)
        ]

    with_a_call(tmp_path, scene)


@pytest.mark.usefixtures("named")
def test_no_ends_the_call_with_exit_5_and_a_key_met_in_it_is_forgotten(tmp_path: Path) -> None:
    async def scene(pair: Pair) -> None:
        assert [one.name for one in pair.known("alice")] == [BOB]
        pair.alice_ui.press("i")
        pair.alice_ui.press("n")
        ours, theirs = await pair.end()
        assert (ours.reason, ours.exit) == ("not-verified", ExitCode.UNTRUSTED)
        assert (theirs.reason, theirs.exit) == ("hung-up", ExitCode.OK), "whoever is there learns nothing"
        ended = pair.alice_ui.of(events.Ended)[0]
        assert (ended.reason, ended.exit) == ("not-verified", 5)
        assert ended.sas == pair.alice_ui.of(events.Connected)[0].sas
        assert [event.known for event in pair.alice_ui.of(events.Verified)] == ["new"]
        assert pair.known("alice") == []

    with_a_call(tmp_path, scene)


def test_no_takes_the_mark_from_a_contact_of_before(tmp_path: Path) -> None:
    async def verify(pair: Pair) -> None:
        pair.alice_ui.press("i")
        pair.alice_ui.press("y")
        pair.alice_ui.press("q")
        await pair.end()

    async def deny(pair: Pair) -> None:
        assert pair.alice_ui.of(events.Connected)[0].known == "verified"
        pair.alice_ui.press("i")
        pair.alice_ui.press("n")
        ours, _ = await pair.end()
        assert ours.exit is ExitCode.UNTRUSTED
        assert [event.known for event in pair.alice_ui.of(events.Verified)] == ["contact"]
        assert [(one.name, one.verified) for one in pair.known("alice")] == [("bob", False)]

    with_a_call(tmp_path, verify)
    with_a_call(tmp_path, deny)


@pytest.mark.parametrize("key", ["i", "q", "m", "x", "escape", "enter", "Y"])
def test_any_other_key_closes_the_question_and_does_nothing_else(tmp_path: Path, key: str) -> None:
    async def scene(pair: Pair) -> None:
        pair.alice_ui.press("i")
        pair.alice_ui.press(key)
        hud = pair.alice_ui.view.hud
        assert (hud.show_verify, hud.muted, hud.known) == (False, False, "new")
        before = len(pair.alice_ui.of(events.Stats))
        await pair.alice_ui.wait(events.Stats, before + 1)
        assert not pair.alice_ui.of(events.Ended)
        pair.alice_ui.press("y")
        pair.alice_ui.press("n")
        assert pair.alice_ui.view.hud.known == "new", "without the question there is no answer"
        pair.alice_ui.press("q")
        ours, _ = await pair.end()
        assert ours.reason == "hung-up"
        assert not pair.alice_ui.of(events.Verified)
        assert pair.known("alice") == []

    with_a_call(tmp_path, scene)


@pytest.mark.parametrize("key", ["ctrl-c", "eof"])
def test_to_hang_up_is_to_hang_up_whatever_is_asked(tmp_path: Path, key: str) -> None:
    async def scene(pair: Pair) -> None:
        pair.alice_ui.press("i")
        pair.alice_ui.press("ctrl-l")
        assert pair.alice_ui.view.refreshed == 1
        assert pair.alice_ui.view.hud.show_verify
        pair.alice_ui.press(key)
        ours, _ = await pair.end()
        assert (ours.reason, ours.exit) == ("hung-up", ExitCode.OK)

    with_a_call(tmp_path, scene)


def test_a_store_that_cannot_be_written_is_told_and_marks_nobody(tmp_path: Path) -> None:
    async def scene(pair: Pair) -> None:
        (tmp_path / "alice" / "store.db").write_text("{")
        pair.alice_ui.press("i")
        pair.alice_ui.press("y")
        await pair.alice_ui.wait(events.Warning)
        hud = pair.alice_ui.view.hud
        assert (hud.known, hud.notice) == ("new", "could not be kept")
        pair.alice_ui.press("i")
        pair.alice_ui.press("n")
        ours, _ = await pair.end()
        assert ours.exit is ExitCode.UNTRUSTED, "a damaged file does not make the words the same"
        told = [event for event in pair.alice_ui.of(events.Warning) if "call log" not in event.text]
        assert [event.slug for event in told] == ["damaged-file"] * 2
        assert not pair.alice_ui.of(events.Verified)

    with_a_call(tmp_path, scene)


# ---- the parts


def trust(folder: Path) -> tuple[TrustStore, Contacts]:
    contacts = Contacts(Home.at(folder))
    return TrustStore(contacts, OWN), contacts


def question(folder: Path, public: bytes, claimed: str) -> tuple[Verification, list[events.Event]]:
    known, _ = trust(folder)
    told: list[events.Event] = []
    who = known.identify(public, claimed)
    return Verification(known, who, public, "00000000", told.append, lambda: 5.0), told


def said(asked: Verification) -> str:
    return asyncio.run(asked.same())


@pytest.mark.parametrize("claimed", ["bob:1", "10.0.0.5", "bob@192.0.2.7", "[bob]", "::1", "localhost"])
def test_nobody_is_kept_under_a_name_that_cannot_be_dialled(tmp_path: Path, claimed: str) -> None:
    asked, told = question(tmp_path, KEY, claimed)
    begin = fingerprint(KEY)[:SHORT_FINGERPRINT]
    assert said(asked) == f"{begin} is verified"
    assert [(one.name, one.public, one.verified) for one in trust(tmp_path)[1].all()] == [(begin, KEY, True)]
    assert [event.name for event in told if isinstance(event, events.Verified)] == [begin]


def test_words_that_differ_after_all_take_back_what_was_said_before(tmp_path: Path) -> None:
    asked, told = question(tmp_path, KEY, "bob")
    said(asked)
    assert asked.known == "verified"
    asyncio.run(asked.different())
    assert asked.known == "new"
    assert [event.known for event in told if isinstance(event, events.Verified)] == ["verified", "new"]
    assert trust(tmp_path)[1].all() == []


def test_a_key_that_somebody_removed_meanwhile_is_kept_again_when_it_is_verified(tmp_path: Path) -> None:
    known, contacts = trust(tmp_path)
    known.pin("bob", KEY, 1.0)
    asked, _ = question(tmp_path, KEY, "bob")
    contacts.remove("bob")
    said(asked)
    assert contacts.all() == [Contact("bob", KEY, 5.0, True)]


def test_a_name_that_got_another_key_meanwhile_is_not_marked(tmp_path: Path) -> None:
    known, contacts = trust(tmp_path)
    known.pin("bob", KEY, 1.0)
    asked, told = question(tmp_path, KEY, "bob")
    contacts.remove("bob")
    known.pin("bob", b"x" * 32, 2.0)
    assert said(asked) == "could not be kept"
    assert [event.slug for event in told if isinstance(event, events.Warning)] == ["key-changed"]
    assert contacts.all() == [Contact("bob", b"x" * 32, 2.0, False)]


def test_keys_while_the_question_is_there() -> None:
    assert keys.call_wish("i") == keys.VERIFY
    assert {key: keys.verify_answer(key) for key in ("y", "n", "ctrl-c", "eof")} == {
        "y": keys.SAME,
        "n": keys.DIFFERENT,
        "ctrl-c": keys.HANGUP,
        "eof": keys.HANGUP,
    }
    assert {keys.verify_answer(key) for key in "iqmvsw? Y"} == {keys.LATER}
    assert set(keys.CALL_KEYS.values()).isdisjoint({keys.SAME, keys.DIFFERENT, keys.LATER})
