"""Two stations on a network in memory, in virtual time, with the sound sources and sinks that need no hardware."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from fakeenv import fake_env
from virtual import Network

from p2pcall import events
from p2pcall.engine.caller import Caller
from p2pcall.engine.devices import Devices, open_devices
from p2pcall.engine.listener import Listener
from p2pcall.engine.outcome import Outcome
from p2pcall.engine.policy import Announce
from p2pcall.engine.settings import CallSettings, MediaSettings
from p2pcall.engine.user_agent import UserAgent
from p2pcall.net.address import parse_target
from p2pcall.store.home import Home
from p2pcall.store.identity import load_or_create

E = TypeVar("E", bound=events.Event)
T = TypeVar("T")
VOICE = MediaSettings("tone", "none", "none", "none")
ALICE, BOB = "10.0.0.1", "10.0.0.2"


class FakeUi:
    """Remembers events; answers questions as told."""

    def __init__(self, answer: str | None = None) -> None:
        self.events: list[events.Event] = []
        self.said: list[str] = []
        self.answer = answer
        self.codes: list[str | None] = []
        """What to answer when asked for a code; "later" is no answer yet."""
        self.asked_for_code: list[str] = []
        self.keep_as: str | None = None
        """Under which name to keep the other side, if asked; "later" is no answer yet."""
        self.asked_to_keep: list[tuple[str, str, str]] = []
        self.waits = 0
        self.offered_camera: bool | None = None
        self.on_closed: Callable[[], None] | None = None
        self._changed = asyncio.Event()

    def emit(self, event: events.Event) -> None:
        self.events.append(event)
        self._changed.set()

    def progress(self, text: str) -> None:
        self.said.append(text)

    def ask(self, incoming: events.Incoming, *, camera: bool) -> Awaitable[str] | None:
        self.offered_camera = camera
        if self.answer is None:
            return None
        answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        if self.answer != "later":
            answer.set_result(self.answer)
        return answer

    @property
    def can_ask(self) -> bool:
        return self.answer is not None

    def ask_name(
        self, claimed: str, fingerprint: str, offered: str, problem: str
    ) -> Awaitable[str | None] | None:
        self.asked_to_keep.append((claimed, offered, problem))
        self._changed.set()
        answer: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()
        if self.keep_as != "later":
            answer.set_result(self.keep_as if not problem else None)
        return answer

    def ask_code(self, name: str) -> Awaitable[str | None] | None:
        self.asked_for_code.append(name)
        self._changed.set()
        if not self.codes:
            return None
        answer: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()
        if self.codes[0] != "later":
            answer.set_result(self.codes.pop(0))
        return answer

    def waiting(self) -> None:
        self.waits += 1

    def load_view(self, mode: str) -> None:
        pass

    def open_view(self, mode: str, on_key: Callable[[str], None]) -> None:
        self.press = on_key
        return

    def of(self, kind: type[E]) -> list[E]:
        return [event for event in self.events if isinstance(event, kind)]

    async def wait(self, kind: type[E], count: int = 1) -> E:
        """The `count`-th event of its kind, now or when it comes."""
        while len(self.of(kind)) < count:
            self._changed.clear()
            await self._changed.wait()
        return self.of(kind)[count - 1]


def beside(work: Callable[[], T]) -> T:
    """What the store does, in a thread, as it is in the program: never in the loop."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(work).result()


def agent(
    home: Path, name: str, ui: FakeUi, network: Network, host: str, seed: int, **settings: Any
) -> UserAgent:
    """One side, its port open on the network in memory."""
    settings.setdefault("media", VOICE)
    settings.setdefault("announce", Announce.OFF)
    env, own = fake_env(seed=seed), Home.at(home / name)
    identity = beside(lambda: load_or_create(own, env.entropy))
    made = UserAgent(env, CallSettings(name, **settings), own, identity, ui, any_port=False)
    made.node.attach(network.driver(host))
    return made


async def listening(side: UserAgent) -> "asyncio.Task[Outcome]":
    """`listen` in a task, ready for calls."""
    devices = open_devices(side.settings, side.env)
    task = asyncio.ensure_future(Listener(side, devices).run())
    await side.ui.wait(events.Listening)
    return task


def look(side: UserAgent) -> Callable[[], Coroutine[Any, Any, Devices]]:
    """How a caller of that side finds its devices: at once."""

    async def found() -> Devices:
        return open_devices(side.settings, side.env)

    return found


async def dial(side: UserAgent, host: str = BOB) -> Outcome:
    """`dial` to its end."""
    return await Caller(side, look(side), parse_target(host), host).run()
