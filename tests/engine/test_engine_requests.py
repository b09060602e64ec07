"""Strangers who rang and were not answered, as a running `listen` keeps them: who is kept, who is not."""

import asyncio
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from calls import ALICE, BOB, FakeUi, agent, beside, dial, listening
from fakeenv import fake_env
from virtual import Network, run_virtual

from p2pcall import events
from p2pcall.engine.policy import Answer
from p2pcall.engine.trust import PeerIdentity
from p2pcall.engine.unanswered import WRITE_EVERY_S, UnansweredStrangers
from p2pcall.engine.user_agent import UserAgent
from p2pcall.errors import P2PCallError
from p2pcall.store.contacts import Contacts
from p2pcall.store.requests import MAX_REQUESTS, CallRequest, CallRequests
from p2pcall.store.retention import REQUEST_DAYS, keep_days
from p2pcall.store.vault import Vault
from p2pcall.types import Reach

STRANGER = PeerIdentity("carol", "carol's", "new")


async def requests(side: UserAgent) -> list[CallRequest]:
    """What the side has kept when all is on its disk."""
    await side.unanswered.close()
    return beside(lambda: CallRequests(Vault(side.vault.home)).all(side.env.clock.time()))


async def rings(
    tmp_path: Path,
    says: str | None,
    before: Callable[[UserAgent, UserAgent], object] = lambda bob, alice: None,
    times: int = 1,
    **settings: Any,
) -> tuple[list[CallRequest], UserAgent, UserAgent]:
    """Alice dials Bob, who says this: what he has kept then."""
    settings.setdefault("reach", Reach.ANYONE)
    network = Network()
    bob = agent(tmp_path, "bob", FakeUi(says), network, BOB, 2, **settings)
    alice = agent(tmp_path, "alice", FakeUi(), network, ALICE, 1, max_duration_s=1.0, ring_timeout_s=3.0)
    beside(lambda: before(bob, alice))
    task = await listening(bob)
    for _ in range(times):
        try:
            await dial(alice)
        except P2PCallError as error:
            assert error.slug in ("unreachable", "no-answer", "declined", "busy"), error.slug
        await asyncio.sleep(1)
    found = await requests(bob)
    task.cancel()
    await asyncio.wait([task])
    return found, bob, alice


@pytest.mark.parametrize(
    ("says", "rule"),
    [("later", Answer.ASK), ("decline", Answer.ASK), (None, Answer.ASK), ("audio", Answer.NEVER)],
)
def test_a_stranger_who_is_not_answered_is_a_request(tmp_path: Path, says: str | None, rule: Answer) -> None:
    """Missed, declined, with nobody to ask, and as `--answer never` says."""

    async def scene() -> None:
        (one,), bob, alice = await rings(tmp_path, says, answer=rule)
        assert (one.public, one.claimed, one.calls) == (alice.identity.public, "alice", 1)
        told = await bob.ui.wait(events.Requested)
        assert (told.count, told.number, told.name) == (1, one.number, "alice")
        assert told.fingerprint == alice.identity.fingerprint
        assert told.until == pytest.approx(one.at + REQUEST_DAYS * 24 * 3600, abs=0.01)
        assert bob.ui.said == ["a stranger waits for your answer: p2pcall contacts requests"]

    run_virtual(scene)


def test_a_stranger_who_rings_again_is_one_request_and_is_told_once(tmp_path: Path) -> None:
    async def scene() -> None:
        (one,), bob, _ = await rings(tmp_path, "later", times=3)
        assert one.calls == 3
        assert one.at <= one.last
        assert len(bob.ui.of(events.Requested)) == 1

    run_virtual(scene)


def test_who_is_answered_is_no_request_any_more(tmp_path: Path) -> None:
    async def scene() -> None:
        def rang_before(bob: UserAgent, alice: UserAgent) -> None:
            now = bob.env.clock.time()
            rung = [
                CallRequest(alice.identity.public, "alice", now, now),
                CallRequest(bytes(32), "", now, now),
            ]
            assert len(CallRequests(bob.vault).add(rung)) == 2

        (other,), bob, _ = await rings(tmp_path, "audio", rang_before)
        assert other.public == bytes(32)
        assert not bob.ui.of(events.Requested)
        assert not bob.ui.said

    run_virtual(scene)


def test_a_contact_a_blocked_key_and_who_may_not_ring_are_no_requests(tmp_path: Path) -> None:
    async def scene() -> None:
        def friend(bob: UserAgent, alice: UserAgent) -> None:
            bob.trust.pin("alice", alice.identity.public, 0.0)

        def foe(bob: UserAgent, alice: UserAgent) -> None:
            bob.contacts.block(alice.identity.fingerprint, 0.0)

        def others(bob: UserAgent, alice: UserAgent) -> None:
            bob.trust.pin("carol", bytes([3] * 32), 0.0)

        assert (await rings(tmp_path / "1", "later", friend))[0] == []
        assert (await rings(tmp_path / "2", "later", foe))[0] == []
        assert (await rings(tmp_path / "3", "later", others, reach=Reach.CONTACTS))[0] == []

    run_virtual(scene)


def test_a_caller_without_the_code_is_no_request(tmp_path: Path) -> None:
    async def scene() -> None:
        def wants_codes(bob: UserAgent, alice: UserAgent) -> None:
            bob.trust.factors.require_unasked(b"secret of twenty byt")

        found, bob, _ = await rings(tmp_path, None, wants_codes, answer=Answer.ANYONE)
        assert found == []
        assert bob.ui.of(events.Missed)

    run_virtual(scene)


def test_with_a_call_log_of_no_days_no_request_is_kept(tmp_path: Path) -> None:
    async def scene() -> None:
        def none(bob: UserAgent, alice: UserAgent) -> None:
            keep_days(bob.vault, 0, bob.env.clock.time())

        found, bob, _ = await rings(tmp_path, "later", none)
        assert found == []
        assert not bob.ui.of(events.Requested)

    run_virtual(scene)


def test_who_claims_a_contacts_name_is_told_by_the_fingerprint(tmp_path: Path) -> None:
    async def scene() -> None:
        def another_alice(bob: UserAgent, alice: UserAgent) -> None:
            bob.trust.pin("Alice", bytes([3] * 32), 0.0)

        (one,), bob, alice = await rings(tmp_path, "later", another_alice)
        assert one.claimed == "alice"
        assert bob.ui.of(events.Requested)[0].name == alice.identity.fingerprint[:9]

    run_virtual(scene)


def test_who_rings_while_this_side_stops_is_kept(tmp_path: Path) -> None:
    async def scene() -> None:
        network, ui = Network(), FakeUi("later")
        bob = agent(tmp_path, "bob", ui, network, BOB, 2, reach=Reach.ANYONE)
        task = await listening(bob)
        alice = agent(tmp_path, "alice", FakeUi(), network, ALICE, 1)
        calling = asyncio.ensure_future(dial(alice))
        await ui.wait(events.Incoming)
        task.cancel()
        await asyncio.wait([task, calling])
        assert [one.claimed for one in await requests(bob)] == ["alice"]

    run_virtual(scene)


# ---- many at once


class Crowd:
    """Strangers who are noted one after another, without the line below."""

    def __init__(self, folder: Path) -> None:
        self.ui = FakeUi()
        self.bob = agent(folder, "bob", self.ui, Network(), BOB, 2)
        self.unanswered = self.bob.unanswered

    def ring(self, number: int, host: str = "203.0.113.9", name: str = "x") -> None:
        peer = SimpleNamespace(remote_static=number.to_bytes(32, "big"), address=(host, 1024 + number % 1000))
        self.unanswered.note(cast(Any, peer), name, STRANGER)


def test_a_crowd_of_strangers_costs_one_write_in_five_seconds_and_bounded_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[int] = []
    add = CallRequests.add

    def counted(self: CallRequests, rung: list[CallRequest]) -> list[CallRequest]:
        written.append(len(rung))
        return add(self, rung)

    monkeypatch.setattr(CallRequests, "add", counted)

    async def scene() -> None:
        crowd = Crowd(tmp_path)
        began = asyncio.get_running_loop().time()
        for number in range(2000):
            crowd.ring(number)
            await asyncio.sleep(0.01)
        spent = asyncio.get_running_loop().time() - began
        kept = await requests(crowd.bob)
        assert len(written) <= spent / WRITE_EVERY_S + 2
        assert max(written) <= MAX_REQUESTS
        assert len(kept) == MAX_REQUESTS
        assert len(crowd.ui.of(events.Requested)) <= len(written)

    run_virtual(scene)


def test_a_crowd_from_one_network_keeps_nobody_out_who_rings_among_it(tmp_path: Path) -> None:
    async def scene() -> None:
        crowd = Crowd(tmp_path)
        crowd.ring(1_000_000, "198.51.100.1", "first")
        for number in range(1000):
            crowd.ring(number, f"203.0.113.{number % 250}")
            if number == 500:
                crowd.ring(2_000_000, "192.0.2.1", "among")
        crowd.ring(3_000_000, "2001:db8::1", "last")
        names = [one.claimed for one in await requests(crowd.bob)]
        assert len(names) == MAX_REQUESTS
        assert {"first", "among", "last"} <= {*names}

    run_virtual(scene)


def test_an_origin_is_a_network_and_no_address(tmp_path: Path) -> None:
    """Neighbours share it, two runs do not: nobody learns from it where a call came from."""

    async def scene() -> None:
        crowd, again = Crowd(tmp_path / "a"), Crowd(tmp_path / "b")
        again.unanswered = UnansweredStrangers(again.bob.vault, again.bob.trust, fake_env(seed=9), again.ui)
        hosts = ("10.0.0.1", "10.0.0.250", "10.0.1.1", "2001:db8:1::1", "2001:db8:ffff::1", "2001:db9::1")
        for one in (crowd, again):
            for number, host in enumerate((*hosts, "fe80::1", "a name")):
                one.ring(number, host)
        first = [one.origin for one in await requests(crowd.bob)]
        assert first[0] == first[1] != first[2]
        assert first[3] == first[4] != first[5]
        assert len({*first}) == 6
        await again.unanswered.close()
        second = [one.origin for one in await requests(again.bob)]
        assert not {*first} & {*second}

    run_virtual(scene)


def test_a_name_with_escapes_is_kept_without_them(tmp_path: Path) -> None:
    async def scene() -> None:
        crowd = Crowd(tmp_path)
        crowd.ring(1, name="\x1b[2Jcar\u202eol\x07" + "l" * 10_000)
        crowd.ring(2, name="\u200b\x1b")
        long, none = await requests(crowd.bob)
        assert long.claimed.startswith("[2Jcarol")
        assert len(long.claimed.encode()) <= 64
        assert none.claimed == ""

    run_virtual(scene)


def test_who_rang_first_is_written_first_however_slow_the_disk_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    release, written = threading.Event(), list[int]()
    add = CallRequests.add

    def slow(self: CallRequests, rung: list[CallRequest]) -> list[CallRequest]:
        if not written and rung[0].public[-1] == 1:
            assert release.wait(30)
        written.append(rung[0].public[-1])
        return add(self, rung)

    monkeypatch.setattr(CallRequests, "add", slow)

    async def scene() -> None:
        crowd = Crowd(tmp_path)
        crowd.ring(1)
        await asyncio.sleep(0)
        crowd.ring(2)
        closing = asyncio.create_task(crowd.unanswered.close())
        for _ in range(5):
            await asyncio.sleep(0)
        release.set()
        await closing
        assert written == [1, 2]

    run_virtual(scene)


def test_a_vault_that_cannot_be_written_ends_nothing(tmp_path: Path) -> None:
    async def scene() -> None:
        crowd = Crowd(tmp_path)
        beside(partial(Contacts(crowd.bob.home, crowd.bob.vault).pin, "bob", bytes([9] * 32), 0.0))
        (tmp_path / "bob" / "store.db").write_bytes(b"{")
        crowd.ring(1)
        await crowd.unanswered.close()
        assert not crowd.ui.events

    run_virtual(scene)
