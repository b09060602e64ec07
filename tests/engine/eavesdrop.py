"""What somebody at the other end of a line could tell apart: when how much came, and what it said once opened."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

from calls import FakeUi
from virtual import Network

from p2pcall.proto.call.call import Call
from p2pcall.proto.constants import NONCE_BYTES
from p2pcall.proto.messages import ControlType

SHOWN = (ControlType.ACCEPT, ControlType.REVEAL)
DELAY_S = 0.005
Seen = list[tuple[Any, ...]]


class Heard(Network):
    """A network of which everything is written down: times and sizes, for keys and nonces differ each time.

    Its way grows by a microsecond each second: nothing comes at the very moment at which a timer runs out.
    """

    def __init__(self) -> None:
        super().__init__()
        self.log: Seen = []

    def carry(self, data: bytes, source: tuple[str, int], target: tuple[Any, ...]) -> None:
        import asyncio

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


class Person(FakeUi):
    """Asked about one call after the other; `questions` are to be answered by the test."""

    def __init__(self) -> None:
        super().__init__("later")
        self.questions: list[Any] = []

    def ask(self, incoming: Any, *, camera: bool) -> Any:
        question = super().ask(incoming, camera=camera)
        self.questions.append(question)
        return question
