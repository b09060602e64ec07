"""Strangers who ring as fast as the line lets them: an hour of it, by day a part; what is kept and what is told.

The handshakes are left out (`tests/sim` floods them): the calls begin where a line is up and has invited.
"""

import asyncio
import gc
import os
import sys
from collections import Counter
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from calls import BOB, FakeUi, agent, beside
from virtual import Network, run_virtual

from p2pcall import events, names
from p2pcall.engine.devices import open_devices
from p2pcall.engine.listener import Listener
from p2pcall.engine.node import MAX_SIGNALS, Node, PeerConnection
from p2pcall.engine.policy import Answer
from p2pcall.proto.call.table import CallState
from p2pcall.proto.events import CallEnded, HandshakeDone, IncomingCall, Message
from p2pcall.proto.messages import ControlType, Reason
from p2pcall.types import Reach

RINGS_PER_S = 116
"""What the line lets through: handshakes answered in a second, over all sources."""
HOUR_S = 3600 if os.environ.get("P2PCALL_HYPOTHESIS") == "nightly" else 60
GROWN_BLOCKS = 2000
"""Objects that may be more at the end than after a third of it: each ring is some twenty while it lasts."""
MUM = bytes(range(32))


class CountingUi(FakeUi):
    """Counts what is told, by kind and by the second."""

    def __init__(self, answer: str | None) -> None:
        super().__init__(answer)
        self.told: Counter[str] = Counter()
        self.seconds: Counter[int] = Counter()

    def emit(self, event: events.Event) -> None:
        slug = f"{event.event} {event.slug}" if isinstance(event, events.Warning) else event.event
        self.told[slug] += 1
        if slug in ("missed", "warning missed-call", "warning no-terminal"):
            self.seconds[int(asyncio.get_running_loop().time())] += 1
        if isinstance(event, events.Missed):
            self.told["summed"] += event.count


class Stranger:
    """A peer that rang, and what the line does when it is declined or gives up."""

    def __init__(self, node: Node, number: int) -> None:
        self.index, self.call_id = number, f"{number:08x}"
        self.address = BOB, number
        self.remote_static = (number // 3).to_bytes(32, "big")
        self.established, self.state = True, CallState.INCOMING
        self.line = PeerConnection(node, cast(Any, self))

    def _over(self, reason: Reason, remote: bool) -> None:
        if self.state is not CallState.ENDED:
            self.established, self.state = False, CallState.ENDED
            self.line.signals.put_nowait(CallEnded(cast(Any, self), reason, remote))

    def ring(self, name: str, now: float) -> None:
        """It hears it ring, and gives up at once."""
        self._over(Reason.HUNG_UP, True)

    def decline(self, reason: Reason, now: float) -> None:
        self._over(reason, False)

    def close(self, now: float) -> None:
        self.state = CallState.ENDED


def blocks() -> int:
    """Of memory, without names that were compared: those are kept for a while, with a bound of their own."""
    names.tidy.cache_clear()
    names.alike.cache_clear()
    gc.collect()
    return sys.getallocatedblocks()


def flood(folder: Path, answer: str | None, rule: Answer) -> tuple[CountingUi, int, int]:
    """What was told, how many rang, and how many blocks of memory more there were at its end than after a third."""

    async def scene() -> tuple[CountingUi, int, int]:
        ui = CountingUi(answer)
        bob = agent(folder, "bob", ui, Network(), BOB, 2, answer=rule, reach=Reach.ANYONE)
        beside(partial(bob.trust.pin, "mum", MUM, 0.0))
        made = Listener(bob, open_devices(bob.settings, bob.env))
        task = asyncio.ensure_future(made.run())
        await asyncio.sleep(0)
        before = rung = 0
        loop = asyncio.get_running_loop()
        begun = loop.time()
        while loop.time() < begun + HOUR_S:
            stranger = Stranger(bob.node, rung)
            name = "mum" if rung % 2 else f"caller {rung}"
            made._caller(stranger.line)
            stranger.line.signals.put_nowait(IncomingCall(cast(Any, stranger), name, True, False))
            rung += 1
            await asyncio.sleep(1 / RINGS_PER_S)
            if not before and loop.time() > begun + HOUR_S / 3:
                before = blocks() - len(ui.seconds)  # which this test keeps itself
                assert len(made._tasks) <= 2
        grown = blocks() - len(ui.seconds) - before
        task.cancel()
        await asyncio.wait([task])
        await bob.history.close()
        return ui, rung, grown

    return run_virtual(scene)


@pytest.mark.parametrize(
    ("answer", "rule"), [(None, Answer.ASK), ("later", Answer.ASK), (None, Answer.NEVER)], ids=str
)
def test_an_hour_of_strangers_keeps_memory_flat_and_tells_a_line_a_second(
    tmp_path: Path, answer: str | None, rule: Answer
) -> None:
    ui, rung, grown = flood(tmp_path, answer, rule)
    print(f"{rung} rings in {HOUR_S} s: {grown} blocks more, told {dict(ui.told)}")
    assert rung >= (RINGS_PER_S - 1) * HOUR_S
    assert grown < GROWN_BLOCKS
    assert max(ui.seconds.values()) <= 6, "the event and the line, with one at either end of a second"
    assert sum(ui.told.values()) - ui.told["summed"] <= 10 * (HOUR_S + 10)
    missed = rung - (ui.told["ended"] if answer else 0)
    assert ui.told["summed"] == missed, "each is counted"


def test_every_list_on_the_way_to_a_person_is_bounded(tmp_path: Path) -> None:
    """A caller may send what it likes while nobody reads its line."""

    async def scene() -> None:
        node = agent(tmp_path, "bob", FakeUi(), Network(), BOB, 2).node
        lines: list[PeerConnection] = []
        node.on_caller = lines.append
        stranger = SimpleNamespace(index=1, remote_static=MUM)
        node._dispatch(HandshakeDone(cast(Any, stranger)))
        for _ in range(10 * MAX_SIGNALS):
            node._dispatch(Message(cast(Any, stranger), ControlType.MEDIA, b"\x01"))
        assert lines[0].signals.qsize() == MAX_SIGNALS
        node._dispatch(CallEnded(cast(Any, stranger), Reason.HUNG_UP, True))
        assert lines[0].signals.qsize() == MAX_SIGNALS + 1, "the end is never left out"

    run_virtual(scene)
