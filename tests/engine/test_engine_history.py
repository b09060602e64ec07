"""The call log as calls write it: each once, on both sides, however it ends; and its clock while somebody listens."""

import asyncio
import base64
from pathlib import Path

from calls import ALICE, BOB, FakeUi, agent, beside, dial, listening
from msgspec.structs import replace
from virtual import Network, run_virtual

from p2pcall import events
from p2pcall.engine.call_history import CallHistory
from p2pcall.engine.offload import offload
from p2pcall.engine.policy import Answer
from p2pcall.engine.user_agent import UserAgent
from p2pcall.env import Clock
from p2pcall.errors import P2PCallError
from p2pcall.events import Event
from p2pcall.store.calllog import CallLog, LoggedCall
from p2pcall.store.consent_log import kept_consents
from p2pcall.store.home import Home
from p2pcall.store.recordings import DAY_S
from p2pcall.store.vault import Vault
from p2pcall.types import Reach


async def logged(side: UserAgent) -> list[LoggedCall]:
    """What the side has logged when all is on its disk."""
    await side.history.close()
    return beside(lambda: CallLog(Vault(side.vault.home)).newest(side.env.clock.time()))


async def a_call(
    tmp_path: Path, says: str | None, **settings: object
) -> tuple[list[LoggedCall], list[LoggedCall], UserAgent, UserAgent]:
    """Alice dials Bob: what both have logged."""
    network = Network()
    bob = agent(tmp_path, "bob", FakeUi(says), network, BOB, 2, reach=Reach.ANYONE, **settings)
    task = await listening(bob)
    alice = agent(tmp_path, "alice", FakeUi(), network, ALICE, 1, max_duration_s=2.0, ring_timeout_s=5.0)
    await dial(alice)
    await asyncio.sleep(3)
    theirs, ours = await logged(bob), await logged(alice)
    task.cancel()
    return ours, theirs, alice, bob


def test_a_call_is_logged_on_both_sides_with_its_length(tmp_path: Path) -> None:
    async def scene() -> None:
        (ours,), (theirs,), alice, bob = await a_call(tmp_path, "audio")
        assert (ours.outgoing, ours.name, ours.reason) == (True, "bob", "max-duration")
        assert (theirs.outgoing, theirs.name, theirs.reason) == (False, "alice", "max-duration")
        assert ours.fingerprint == bob.identity.fingerprint
        assert theirs.fingerprint == alice.identity.fingerprint
        for call in (ours, theirs):
            assert 1.5 < call.duration_s < 2.5
            assert call.known == "new"
            assert abs(call.at + call.duration_s - alice.env.clock.time()) < 0.01

    run_virtual(scene)


def test_what_is_agreed_to_in_a_call_is_kept_in_the_vault(tmp_path: Path) -> None:
    async def scene() -> None:
        _, _, alice, bob = await a_call(tmp_path, "audio")
        (given,) = beside(lambda: kept_consents(Vault(bob.vault.home)))
        assert (given.kind, given.state, given.by) == ("sound", "given", "local")
        assert (given.name, given.fingerprint) == ("alice", alice.identity.fingerprint)
        assert given.call

    run_virtual(scene)


def test_calls_that_were_declined_or_not_answered_are_logged_once(tmp_path: Path) -> None:
    async def scene(says: str | None, reason: str, theirs_reason: str, **settings: object) -> None:
        (ours,), (theirs,), _, _ = await a_call(tmp_path / reason / theirs_reason, says, **settings)
        assert (ours.outgoing, ours.duration_s, ours.reason) == (True, 0, reason)
        assert (theirs.outgoing, theirs.duration_s, theirs.reason) == (False, 0, theirs_reason)
        assert theirs.calls == 1

    run_virtual(lambda: scene("decline", "declined", "declined"))
    run_virtual(lambda: scene("later", "no-answer", "missed"))
    run_virtual(lambda: scene("audio", "declined", "missed", answer=Answer.NEVER))


def test_a_call_that_nobody_could_be_asked_about_is_logged_once(tmp_path: Path) -> None:
    async def scene() -> None:
        (ours,), (theirs,), _, _ = await a_call(tmp_path, None)
        assert (ours.reason, theirs.reason, theirs.calls) == ("declined", "declined", 1)

    run_virtual(scene)


def test_a_call_that_reached_nobody_is_logged_under_the_name_that_was_dialled(tmp_path: Path) -> None:
    async def scene() -> None:
        alice = agent(tmp_path, "alice", FakeUi(), Network(), ALICE, 1, ring_timeout_s=2.0)
        try:
            await dial(alice, "10.0.0.9")
        except P2PCallError as error:
            assert error.slug == "unreachable"
        (call,) = await logged(alice)
        assert (call.outgoing, call.name, call.reason) == (True, "10.0.0.9", "unreachable")
        assert (call.fingerprint, call.known) == ("", "")

    run_virtual(scene)


def test_the_home_shows_nothing_in_the_clear_after_calls(tmp_path: Path) -> None:
    """No name, no key, no fingerprint, no entry of the log; who may look is the user alone."""

    async def scene() -> None:
        _, _, alice, bob = await a_call(tmp_path, "audio")
        beside(lambda: bob.trust.pin("alice", alice.identity.public, 1.0))
        public, printed = alice.identity.public, alice.identity.fingerprint
        hidden = [b"alice", public, public.hex().encode(), base64.b64encode(public)[:-2], printed.encode()]
        files = [path for path in (tmp_path / "bob").rglob("*") if path.is_file()]
        assert {"store.db", "identity.key"} <= {path.name for path in files}
        for path in files:
            assert path.stat().st_mode & 0o777 == 0o600
            data = path.read_bytes()
            assert not [text for text in [*hidden, b"max-duration", b"10.0.0"] if text in data], path.name
        assert (tmp_path / "bob").stat().st_mode & 0o777 == 0o700

    run_virtual(scene)


def test_a_log_that_cannot_be_written_is_told_and_ends_nothing(tmp_path: Path) -> None:
    async def scene() -> None:
        network, ui = Network(), FakeUi("audio")
        bob = agent(tmp_path, "bob", ui, network, BOB, 2, reach=Reach.ANYONE)
        task = await listening(bob)
        calling = asyncio.ensure_future(
            dial(agent(tmp_path, "alice", FakeUi(), network, ALICE, 1, max_duration_s=1.0))
        )
        await ui.wait(events.Connected)
        (tmp_path / "bob" / "store.db").write_bytes(b"{")
        await calling
        await ui.wait(events.Ended)
        await bob.history.close()
        told = [warning for warning in ui.of(events.Warning) if "call log" in warning.text]
        assert [warning.slug for warning in told] == ["damaged-file"]
        assert not task.done()
        task.cancel()

    run_virtual(scene)


class LoopClock(Clock):
    """The epoch moves with the loop."""

    def __init__(self) -> None:
        super().__init__()
        self._loop = asyncio.get_running_loop()

    def time(self) -> float:
        return 1_700_000_000.0 + self._loop.time()


def test_calls_too_old_are_erased_at_start_and_daily_while_listening(tmp_path: Path) -> None:
    async def scene() -> None:
        vault, clock = Vault(Home.at(tmp_path / "bob")), LoopClock()
        log, began = CallLog(vault), clock.time()
        call = LoggedCall(0, False, "bob", "x", "contact", 1.0, "hung-up")
        for days in (31, 29.5, 28.5, 1):
            beside(lambda days=days: log.add(replace(call, at=began - days * DAY_S)))
        said: list[Event] = []
        history = CallHistory(vault, clock, said.append)
        await offload(history.prepare)
        assert beside(log.count) == 3
        history.watch()
        await asyncio.sleep(23 * 3600)
        assert beside(log.count) == 3
        await asyncio.sleep(2 * 3600)
        assert beside(log.count) == 2
        await asyncio.sleep(24 * 3600)
        assert beside(log.count) == 1
        await history.close()
        assert not said

    run_virtual(scene)
