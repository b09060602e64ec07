"""A dial of which the system is told that nothing listens there, which anybody can say in an ICMP message."""

import asyncio
from errno import ECONNREFUSED
from pathlib import Path

import pytest
from calls import ALICE, BOB, FakeUi, agent, listening, look
from virtual import Network, run_virtual

from p2pcall.engine.caller import REFUSED_GRACE_S, Caller
from p2pcall.engine.policy import Answer
from p2pcall.engine.user_agent import UserAgent
from p2pcall.errors import P2PCallError
from p2pcall.net.address import parse_target
from p2pcall.proto.constants import HANDSHAKE_TIMEOUT_S

PORT = 51729


async def told(side: UserAgent, *, at_s: float = 0.0) -> tuple[str, float]:
    """What becomes of a dial of which it is said, again and again, that nothing listens; and how long it took."""
    loop = asyncio.get_running_loop()
    start = loop.time()

    async def lie() -> None:
        while True:
            if loop.time() >= start + at_s:
                side.node._unreachable((BOB, PORT), ECONNREFUSED)
            await asyncio.sleep(0.05)

    liar = asyncio.ensure_future(lie())
    try:
        outcome = await Caller(side, look(side), parse_target(BOB), BOB).run()
    except P2PCallError as error:
        return error.slug, loop.time() - start
    finally:
        liar.cancel()
    return outcome.reason, loop.time() - start


@pytest.mark.parametrize("way_s", [0.01, 0.3, 0.6, 0.9])
def test_forged_refusals_end_no_dial_that_is_answered(tmp_path: Path, way_s: float) -> None:
    """Not before a cookie can be here over the longest way, nor after it has come, though the handshake takes on."""

    async def scene() -> None:
        network = Network(delay_s=way_s)
        bob = agent(tmp_path, "bob", FakeUi(), network, BOB, 2, answer=Answer.ANYONE)
        task = await listening(bob)
        alice = agent(tmp_path, "alice", FakeUi(), network, ALICE, 1, max_duration_s=1)
        assert (await told(alice))[0] == "max-duration"
        task.cancel()

    run_virtual(scene)


def test_a_dial_of_a_host_where_nobody_listens_fails_soon(tmp_path: Path) -> None:
    async def scene() -> None:
        for number, (at_s, most_s) in enumerate(
            [(0.0, REFUSED_GRACE_S), (0.2, 0.2 + REFUSED_GRACE_S), (9.0, HANDSHAKE_TIMEOUT_S)]
        ):
            alice = agent(tmp_path, "alice", FakeUi(), Network(), f"10.0.1.{number}", 1)
            slug, took_s = await told(alice, at_s=at_s)
            assert slug == "unreachable"
            assert took_s == pytest.approx(most_s, abs=0.1)

    run_virtual(scene)


@pytest.mark.parametrize("refused", [True, False])
def test_a_dial_that_is_given_up_knocks_no_more(tmp_path: Path, refused: bool) -> None:
    """Nor does the process wait for it."""

    async def scene() -> None:
        network, loop = Network(), asyncio.get_running_loop()
        timeout_s = HANDSHAKE_TIMEOUT_S if refused else HANDSHAKE_TIMEOUT_S / 2
        alice = agent(tmp_path, "alice", FakeUi(), network, ALICE, 1, ring_timeout_s=timeout_s)
        assert (await told(alice, at_s=0.0 if refused else 9.0))[0] == "unreachable"
        sent, over_at = network.sent, loop.time()
        await alice.node.close()
        assert (network.sent, loop.time()) == (sent, over_at)

    run_virtual(scene)


def test_refusals_are_waited_out_once_however_many_come(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    doubts: list[object] = []
    monkeypatch.setattr(Caller, "_give_up", lambda caller, line: doubts.append(line))

    async def scene() -> None:
        alice = agent(tmp_path, "alice", FakeUi(), Network(), ALICE, 1)
        assert (await told(alice))[0] == "unreachable"
        assert len(doubts) == 1

    run_virtual(scene)
