"""What somebody at the other end of a line could tell apart: when how much came, and what it said once opened."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

from calls import BOB, FakeUi, agent, beside, dial, listening
from virtual import Network, run_virtual

from p2pcall import events
from p2pcall.engine.outcome import Outcome
from p2pcall.engine.policy import Answer
from p2pcall.engine.user_agent import UserAgent
from p2pcall.proto.call.call import Call
from p2pcall.proto.constants import NONCE_BYTES
from p2pcall.proto.messages import ControlType
from p2pcall.store.contacts import Contacts
from p2pcall.store.home import Home
from p2pcall.types import Reach

SHOWN = (ControlType.ACCEPT, ControlType.REVEAL)
DELAY_S = 0.005
CAROL = "10.0.0.3"
Seen = list[tuple[Any, ...]]


class Heard(Network):
    """A network of which everything is written down: times and sizes, for keys and nonces differ each time.

    Its way grows by a microsecond each second: nothing comes at the very moment at which a timer runs out.
    """

    def __init__(self) -> None:
        super().__init__()
        self.log: Seen = []

    def carry(self, data: bytes, source: tuple[str, int], target: tuple[Any, ...]) -> None:
        now = asyncio.get_running_loop().time()
        self.log.append((now, source, target[:2], data[0], len(data)))
        self.delay_s = DELAY_S + 1e-6 * (now - self.log[0][0])
        super().carry(data, source, target)


@contextmanager
def opened() -> Iterator[Seen]:
    """All messages of calls that anybody gets, as they are once decrypted, without the nonces, which are random."""
    log: Seen = []
    hear = Call.hear

    def heard(call: Call, kind: int, body: bytes, now: float, *, dialled: bool) -> Any:
        log.append((kind, body[NONCE_BYTES:] if kind in SHOWN else body))
        return hear(call, kind, body, now, dialled=dialled)

    with mock.patch.object(Call, "hear", heard):
        yield log


def seen_by_a_caller(
    folder: Path, before: Callable[[Contacts, UserAgent], object], answer: str | None, rule: Answer
) -> tuple[tuple[Any, ...], list[events.Event]]:
    """carol calls bob, whose contacts `before` has prepared for her: what she can see, and what bob is told."""

    async def scene() -> tuple[Seen, Outcome, list[events.Event]]:
        network, ui = Heard(), FakeUi(answer)
        bob = agent(folder, "bob", ui, network, BOB, 2, answer=rule, reach=Reach.ANYONE)
        carol = agent(folder, "carol", FakeUi(), network, CAROL, 3, ring_timeout_s=200.0)
        beside(lambda: before(Contacts(Home.at(folder / "bob")), carol))
        task = await listening(bob)
        count = len(ui.events)
        outcome = await dial(carol)
        await asyncio.sleep(5)
        task.cancel()
        return network.log, outcome, ui.events[count:]

    with opened() as said:
        log, outcome, told = run_virtual(scene)
    return (log, said, outcome.reason), told


class Person(FakeUi):
    """Asked about one call after the other; `questions` are to be answered by the test."""

    def __init__(self) -> None:
        super().__init__("later")
        self.questions: list[Any] = []

    def ask(self, incoming: Any, *, camera: bool) -> Any:
        question = super().ask(incoming, camera=camera)
        self.questions.append(question)
        return question
