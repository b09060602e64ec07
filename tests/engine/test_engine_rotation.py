"""A changed key: who is told of it, how, and with which trust. Two sides, in virtual time."""

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import Any, TypeVar
from unittest import mock

import pytest
from calls import ALICE, BOB, VOICE, FakeUi, beside, dial, listening
from fakeenv import fake_env, seeded_entropy
from virtual import Network, run_virtual

from p2pcall import events
from p2pcall.engine import caller as calling_side
from p2pcall.engine import key_rotation
from p2pcall.engine.offload import offload
from p2pcall.engine.outcome import Outcome
from p2pcall.engine.policy import Announce, Answer
from p2pcall.engine.settings import CallSettings
from p2pcall.engine.user_agent import UserAgent
from p2pcall.errors import ExitCode, P2PCallError
from p2pcall.net.address import DEFAULT_PORT
from p2pcall.proto.handshake.noise import KeyPair
from p2pcall.proto.handshake.rotation import rotation_statement
from p2pcall.proto.messages import ControlType
from p2pcall.store.contacts import Contact, Contacts
from p2pcall.store.home import Home
from p2pcall.store.identity import Identity, fingerprint, load_or_create
from p2pcall.store.identity_file import read_identity
from p2pcall.store.retention import DAY_S
from p2pcall.store.rotation import FORMER_DAYS, Rotated, former_key, rotate
from p2pcall.store.seal import Cost
from p2pcall.store.vault import Vault
from p2pcall.store.vault_key import vault_key
from p2pcall.types import Reach

T = TypeVar("T")
EVE = KeyPair.from_private(bytes(range(1, 33)))


def changed(home: Home, seed: int, *told: bytes) -> Rotated:
    """The key of this home is changed, and its vault with it."""
    env = fake_env(seed=seed)

    def rekey(before: Identity, now: Identity) -> None:
        Vault(home, lambda: before).rekey(vault_key(now))

    now = env.clock.time()
    return beside(lambda: rotate(home, env.entropy, now, lambda: told, Cost(1, 8), rekey=rekey))


class Pair:
    """Alice has changed her key after she and bob became contacts; bob has verified her."""

    def __init__(self, place: Path, *, verified: bool = True, reach: Reach = Reach.CONTACTS) -> None:
        self.place, self.reach = place, reach
        self.network = Network()
        self.alice_ui, self.bob_ui = FakeUi(), FakeUi()
        self.homes = {name: Home.at(place / name) for name in ("alice", "bob")}
        before = {
            name: beside(partial(load_or_create, home, seeded_entropy(seed)))
            for seed, (name, home) in enumerate(self.homes.items(), 10)
        }
        self.old, self.bob = before["alice"], before["bob"]
        beside(lambda: Contacts(self.homes["alice"]).pin("bob", self.bob.public, 1.0))
        beside(lambda: Contacts(self.homes["bob"]).pin("alice", self.old.public, 1.0))
        if verified:
            beside(lambda: Contacts(self.homes["bob"]).verify("alice", self.old.public))
        self.rotated = self.rotate(self.bob.public)
        self.new = self.rotated.now

    def rotate(self, *told: bytes) -> Rotated:
        return changed(self.homes["alice"], 20, *told)

    def side(self, name: str, **settings: Any) -> UserAgent:
        """One side's program, as it starts now."""
        ui, host = (self.alice_ui, ALICE) if name == "alice" else (self.bob_ui, BOB)
        home, env = self.homes[name], fake_env(seed=len(name))
        identity = beside(lambda: load_or_create(home, env.entropy))
        former = beside(lambda: former_key(home, identity, env.clock.time()))
        settings = {"media": VOICE, "max_duration_s": 1.0, "answer": Answer.CONTACTS, **settings}
        chosen = CallSettings(name, announce=Announce.OFF, reach=self.reach, **settings)
        made = UserAgent(env, chosen, home, identity, ui, any_port=False, former=former)
        made.node.attach(self.network.driver(host))
        return made

    async def call(self, caller: str, **settings: Any) -> Outcome:
        """One call between them; the programs end with it."""
        called = "bob" if caller == "alice" else "alice"
        task = await listening(self.side(called, **settings))
        try:
            return await dial(self.side(caller), BOB if called == "bob" else ALICE)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def contact(self) -> Contact:
        """What bob keeps under alice's name."""
        contact = beside(lambda: Contacts(self.homes["bob"]).by_name("alice"))
        assert contact is not None
        return contact

    @property
    def keeps_old_key(self) -> bool:
        file = beside(lambda: read_identity(self.homes["alice"]))
        return file is not None and file.former != ""


def story(place: Path, told: Callable[[Pair], Coroutine[Any, Any, T]], **pair: Any) -> T:
    async def scene() -> T:
        return await told(Pair(place, **pair))

    return run_virtual(scene)


@pytest.fixture(autouse=True)
def _by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each dials the other by the contact's name, and finds the pinned key."""

    async def locate(side: UserAgent, target: Any) -> Any:
        name = "bob" if target.host == BOB else "alice"
        return calling_side.Location([(target.host, DEFAULT_PORT)], side.trust.expected_key(name), name)

    monkeypatch.setattr(calling_side, "locate", locate)


@pytest.mark.parametrize("caller", ["alice", "bob"])
@pytest.mark.parametrize("reach", list(Reach))
@pytest.mark.parametrize("verified", [True, False])
def test_a_changed_key_is_told_in_the_next_call_and_pinned_with_the_same_trust(
    tmp_path: Path, caller: str, reach: Reach, verified: bool
) -> None:
    async def told(pair: Pair) -> None:
        outcome = await pair.call(caller)
        assert outcome.exit is ExitCode.OK
        known = "verified" if verified else "contact"
        for ui in (pair.alice_ui, pair.bob_ui):
            assert [one.known for one in ui.of(events.Connected)] == [
                known if ui is pair.bob_ui else "contact"
            ]
        (at_bob,), (at_alice,) = (ui.of(events.ContactRotated) for ui in (pair.bob_ui, pair.alice_ui))
        printed = fingerprint(pair.new.public)
        assert (at_bob.side, at_bob.name, at_bob.fingerprint, at_bob.known) == (
            "remote",
            "alice",
            printed,
            known,
        )
        assert (at_alice.side, at_alice.name, at_alice.fingerprint) == ("local", "bob", printed)
        contact = pair.contact()
        assert (contact.public, contact.verified) == (pair.new.public, verified)
        assert not pair.keeps_old_key, "bob was the last to be told"

    story(tmp_path, told, reach=reach, verified=verified)


@pytest.mark.parametrize("caller", ["alice", "bob"])
def test_after_the_telling_calls_are_made_with_the_new_key_alone(tmp_path: Path, caller: str) -> None:
    async def told(pair: Pair) -> None:
        await pair.call("alice")
        await pair.call(caller)
        assert len(pair.bob_ui.of(events.ContactRotated)) == 1
        last = pair.bob_ui.of(events.Connected)[-1]
        assert (last.fingerprint, last.known) == (fingerprint(pair.new.public), "verified")

    story(tmp_path, told)


def test_a_contact_with_a_new_key_is_not_told_as_gone(tmp_path: Path) -> None:
    async def told(pair: Pair) -> None:
        task = await listening(pair.side("bob", max_duration_s=5.0))
        await dial(pair.side("alice", max_duration_s=5.0), BOB)
        await pair.call("alice")
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert "contacts-gone" not in [one.slug for one in pair.bob_ui.of(events.Warning)]

    story(tmp_path, told)


def test_a_new_key_keeps_the_permissions_in_the_call_that_tells_it_and_after(tmp_path: Path) -> None:
    async def told(pair: Pair) -> None:
        book = Contacts(pair.homes["bob"])
        beside(lambda: book.permit("alice", sound_unasked=True, sees_announced=False))
        for _ in range(2):
            task = await listening(pair.side("bob", answer=Answer.ASK, max_duration_s=10.0))
            assert (await dial(pair.side("alice", max_duration_s=5.0), BOB)).exit is ExitCode.OK
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        assert len(pair.bob_ui.of(events.ContactRotated)) == 1
        assert len(pair.bob_ui.of(events.Connected)) == 2, "answered without asking, with either key"
        assert "permission-withdrawn" not in [one.slug for one in pair.bob_ui.of(events.Warning)]
        assert (pair.contact().public, pair.contact().allowed) == (pair.new.public, ("ring", "sound"))

    story(tmp_path, told)


def test_while_a_new_key_is_on_its_way_to_the_disk_no_permission_is_missed(tmp_path: Path) -> None:
    async def told(pair: Pair) -> None:
        book = Contacts(pair.homes["bob"])
        beside(lambda: book.permit("alice", sound_unasked=True))
        kept = asyncio.get_running_loop().create_future()

        async def slowly(work: Callable[[], Any]) -> Any:
            done = await offload(work)
            await asyncio.sleep(3.0)
            kept.set_result(None)
            return done

        with mock.patch.object(key_rotation, "offload", slowly):
            task = await listening(pair.side("bob", answer=Answer.ASK, max_duration_s=10.0))
            assert (await dial(pair.side("alice", max_duration_s=5.0), BOB)).exit is ExitCode.OK
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        assert kept.done()
        assert "permission-withdrawn" not in [one.slug for one in pair.bob_ui.of(events.Warning)]

    story(tmp_path, told)


def test_an_older_program_is_told_again_in_each_call(tmp_path: Path) -> None:
    """It ignores the statement, and the old key is kept."""

    async def told(pair: Pair) -> None:
        with mock.patch.object(key_rotation.KeyRotation, "_hear"):
            for _ in range(2):
                assert (await pair.call("alice")).exit is ExitCode.OK
        assert pair.contact().public == pair.old.public
        assert pair.keeps_old_key
        assert pair.alice_ui.of(events.ContactRotated) == []
        await pair.call("bob")
        assert pair.contact().public == pair.new.public

    story(tmp_path, told)


@pytest.mark.parametrize("caller", ["alice", "bob"])
def test_a_lost_answer_keeps_nobody_out(tmp_path: Path, caller: str) -> None:
    """Bob has kept the new key, and alice does not know: she still answers and calls as either."""

    async def told(pair: Pair) -> None:
        beside(lambda: Contacts(pair.homes["bob"]).rotate(pair.old.public, pair.new.public))
        assert pair.keeps_old_key
        assert (await pair.call(caller)).exit is ExitCode.OK
        assert pair.bob_ui.of(events.Connected)[0].known == "verified"
        assert not pair.keeps_old_key

    story(tmp_path, told)


def test_a_contact_dialled_by_address_alone_is_called_as_the_one_they_know(tmp_path: Path) -> None:
    async def told(pair: Pair) -> None:
        async def nobody(side: UserAgent, target: Any) -> Any:
            return calling_side.Location([(target.host, DEFAULT_PORT)], None, None)

        with mock.patch.object(calling_side, "locate", nobody):
            await pair.call("alice")
        assert [one.known for one in pair.bob_ui.of(events.Incoming)] == ["verified"]
        assert pair.contact().public == pair.new.public

    story(tmp_path, told, reach=Reach.ANYONE)


def test_a_key_that_was_not_told_within_a_month_pairs_again(tmp_path: Path) -> None:
    async def told(pair: Pair) -> None:
        env = fake_env(seed=1)
        later = env.clock.time() + FORMER_DAYS * DAY_S
        identity = beside(lambda: load_or_create(pair.homes["alice"], env.entropy))
        assert beside(lambda: former_key(pair.homes["alice"], identity, later - 1)) is not None
        assert beside(lambda: former_key(pair.homes["alice"], identity, later)) is None
        assert not pair.keeps_old_key
        with pytest.raises(P2PCallError) as caught:
            await pair.call("bob")
        assert caught.value.exit in (ExitCode.UNTRUSTED, ExitCode.NOT_FOUND)
        assert pair.contact().public == pair.old.public

    story(tmp_path, told)


def test_the_new_key_alone_does_not_make_a_contacts_phone_ring(tmp_path: Path) -> None:
    """Whoever calls with a key that nothing vouches for is a stranger, whatever name they claim."""

    async def told(pair: Pair) -> None:
        beside(lambda: former_key(pair.homes["alice"], pair.new, 1e12))
        with pytest.raises(P2PCallError) as caught:
            await pair.call("alice")
        assert caught.value.slug == "unreachable"
        assert pair.bob_ui.of(events.Incoming) == []

    story(tmp_path, told)


# ---- hostile statements

STATEMENTS: dict[str, Callable[[Pair, KeyPair, KeyPair, bytes, bytes], bytes]] = {
    "of another call": lambda pair, old, new, theirs, line: rotation_statement(old, new, theirs, bytes(32)),
    "for another person": lambda pair, old, new, theirs, line: rotation_statement(old, new, EVE.public, line),
    "by another key": lambda pair, old, new, theirs, line: rotation_statement(EVE, new, theirs, line),
    "of a key that its sender does not have": lambda pair, old, new, theirs, line: (
        EVE.public + rotation_statement(old, new, theirs, line)[32:]
    ),
    "of the receiver's own key": lambda pair, old, new, theirs, line: rotation_statement(
        old, KeyPair.from_private(pair.bob.private), theirs, line
    ),
    "of the same key": lambda pair, old, new, theirs, line: rotation_statement(old, old, theirs, line),
    "of a key of low order": lambda pair, old, new, theirs, line: (
        bytes(32) + rotation_statement(old, new, theirs, line)[32:]
    ),
    "cut short": lambda pair, old, new, theirs, line: rotation_statement(old, new, theirs, line)[:-1],
    "empty": lambda pair, old, new, theirs, line: b"",
}


@pytest.mark.parametrize("what", STATEMENTS)
def test_a_statement_that_is_not_right_for_this_line_changes_nothing(tmp_path: Path, what: str) -> None:
    async def told(pair: Pair) -> None:
        make = partial(STATEMENTS[what], pair)
        with mock.patch.object(key_rotation, "rotation_statement", make):
            assert (await pair.call("alice")).exit is ExitCode.OK
        assert pair.contact().public == pair.old.public
        assert pair.bob_ui.of(events.ContactRotated) == pair.alice_ui.of(events.ContactRotated) == []
        assert pair.keeps_old_key

    story(tmp_path, told)


@pytest.mark.parametrize("why", ["a contact's", "blocked"])
def test_a_key_of_somebody_else_is_not_taken(tmp_path: Path, why: str) -> None:
    async def told(pair: Pair) -> None:
        book = Contacts(pair.homes["bob"])
        if why == "blocked":
            beside(lambda: book.block(fingerprint(EVE.public), 1.0))
        else:
            beside(lambda: book.pin("eve", EVE.public, 1.0))
        made = lambda old, new, theirs, line: rotation_statement(old, EVE, theirs, line)  # noqa: E731
        with mock.patch.object(key_rotation, "rotation_statement", made):
            await pair.call("alice")
        assert pair.contact().public == pair.old.public
        assert pair.bob_ui.of(events.ContactRotated) == []

    story(tmp_path, told)


def test_a_stranger_who_states_a_key_stays_a_stranger(tmp_path: Path) -> None:
    async def told(pair: Pair) -> None:
        beside(lambda: Contacts(pair.homes["bob"]).remove("alice"))
        await pair.call("alice", answer=Answer.ANYONE)
        assert beside(lambda: Contacts(pair.homes["bob"]).all()) == []
        assert pair.bob_ui.of(events.ContactRotated) == []

    story(tmp_path, told, reach=Reach.ANYONE)


def test_only_the_first_statement_of_a_call_is_looked_at(tmp_path: Path) -> None:
    async def told(pair: Pair) -> None:
        looked: list[bytes] = []
        hear = key_rotation.KeyRotation._hear

        def counted(self: Any, statement: bytes) -> None:
            looked.append(statement)
            hear(self, statement)

        def begin(self: Any) -> None:
            for _ in range(3):
                self._line.send_control(ControlType.ROTATED, b"not one")

        with (
            mock.patch.object(key_rotation.KeyRotation, "_hear", counted),
            mock.patch.object(key_rotation.KeyRotation, "begin", begin),
        ):
            await pair.call("alice")
        assert len(looked) == 2, "one on each side"

    story(tmp_path, told)


def test_an_answer_to_a_statement_that_was_not_made_counts_for_nothing(tmp_path: Path) -> None:
    async def told(pair: Pair) -> None:
        def begin(self: Any) -> None:
            self._line.send_control(ControlType.ROTATION_KEPT, b"")

        with mock.patch.object(key_rotation.KeyRotation, "begin", begin):
            await pair.call("bob")
        assert pair.keeps_old_key
        assert pair.alice_ui.of(events.ContactRotated) == []

    story(tmp_path, told)


def test_a_disk_that_is_full_ends_no_call_and_the_statement_comes_again(tmp_path: Path) -> None:
    async def told(pair: Pair) -> None:
        full = P2PCallError("disk-full", "cannot write", ExitCode.CONFIG)
        with mock.patch.object(Contacts, "rotate", side_effect=full):
            assert (await pair.call("alice")).exit is ExitCode.OK
        assert [one.slug for one in pair.bob_ui.of(events.Warning)] == ["disk-full"]
        assert pair.keeps_old_key
        await pair.call("alice")
        assert pair.contact().public == pair.new.public

    story(tmp_path, told)


def test_the_words_said_after_a_change_of_the_key_verify_the_new_one(tmp_path: Path) -> None:
    async def told(pair: Pair) -> None:
        task = await listening(pair.side("bob", max_duration_s=5.0))
        calling = asyncio.ensure_future(dial(pair.side("alice", max_duration_s=5.0), BOB))
        await pair.bob_ui.wait(events.ContactRotated)
        for key in "iy":
            pair.bob_ui.press(key)
        verified = await pair.bob_ui.wait(events.Verified)
        assert verified.known == "verified"
        await calling
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert (pair.contact().public, pair.contact().verified) == (pair.new.public, True)

    story(tmp_path, told, verified=False)


def test_ones_own_former_key_is_nobody_to_talk_to(tmp_path: Path) -> None:
    async def told(pair: Pair) -> None:
        side = pair.side("alice")
        assert side.is_own(pair.old.public)
        assert side.is_own(pair.new.public)
        assert not side.is_own(pair.bob.public)

    story(tmp_path, told)


def test_the_secrets_of_a_rotation_are_not_shown(tmp_path: Path) -> None:
    async def told(pair: Pair) -> None:
        assert repr(pair.old.private) not in repr(pair.rotated)
        assert isinstance(pair.new, Identity)

    story(tmp_path, told)


@pytest.mark.parametrize("both", [False, True], ids=["one has changed", "both have changed"])
def test_contacts_who_dial_each_other_at_once_during_a_change_have_one_call(
    tmp_path: Path, both: bool
) -> None:
    async def told(pair: Pair) -> None:
        if both:
            changed(pair.homes["bob"], 30, pair.old.public)
        alice, bob = pair.side("alice", max_duration_s=3.0), pair.side("bob", max_duration_s=3.0)
        outcomes = await asyncio.gather(dial(alice, BOB), dial(bob, ALICE))
        assert [outcome.exit for outcome in outcomes] == [ExitCode.OK, ExitCode.OK]
        assert outcomes[0].call == outcomes[1].call
        assert pair.contact().public == pair.new.public
        sides = {one.side for one in pair.alice_ui.of(events.ContactRotated)}
        assert sides == ({"local", "remote"} if both else {"local"})

    story(tmp_path, told)
