"""Bob, who has a camera and a screen, listens; what alice, his contact, is allowed changes meanwhile."""

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

from calls import ALICE, BOB, agent, beside, dial, listening
from seeing import ConsentsInMemory, SeeingUi
from virtual import Network, run_virtual

from p2pcall import events
from p2pcall.engine.consents import ConsentKind, ConsentState
from p2pcall.engine.offload import offload
from p2pcall.engine.outcome import Outcome
from p2pcall.engine.settings import MediaSettings
from p2pcall.engine.user_agent import UserAgent
from p2pcall.store.contacts import Contacts
from p2pcall.store.home import Home
from p2pcall.types import Reach

CAROL, EVE = "10.0.0.3", "10.0.0.4"
SECRET = b"s" * 20
FILMED = MediaSettings("silence", "none", "test", "none")
SOUND, PICTURE = ConsentKind.SOUND, ConsentKind.PICTURE
STANDING, GIVEN, WITHDRAWN = ConsentState.STANDING, ConsentState.GIVEN, ConsentState.WITHDRAWN


class Scene:
    """Bob listens, with a camera and a screen, and is asked about callers; alice is his contact."""

    def __init__(self, folder: Path, **bobs: Any) -> None:
        self.folder, self.network, self.seeds = folder, Network(), count(100)
        self.bob_ui = SeeingUi()
        self.bob_ui.answer = "later"
        bobs = {"reach": Reach.ANYONE, "media": FILMED, **bobs}
        self.bob = agent(folder, "bob", self.bob_ui, self.network, BOB, 2, **bobs)
        self.consents = self.bob.consents = ConsentsInMemory()
        self.alice = self.caller()
        self.contacts = Contacts(Home.at(folder / "bob"))
        beside(partial(self.contacts.pin, "alice", self.alice.identity.public, 0.0))

    def caller(self, **settings: Any) -> UserAgent:
        """Alice's program, as it starts now."""
        self.alice_ui = SeeingUi()
        settings = {"max_duration_s": 1.0, "ring_timeout_s": 5.0, **settings}
        self.alice = agent(
            self.folder, "alice", self.alice_ui, self.network, ALICE, next(self.seeds), **settings
        )
        return self.alice

    async def call(self, **settings: Any) -> Outcome:
        return await dial(self.caller(**settings))

    async def change(self, name: str, *args: Any, **given: Any) -> None:
        """Another process changes the contacts."""
        await offload(partial(getattr(self.contacts, name), *args, **given))

    async def permit(self, **permissions: bool) -> None:
        await self.change("permit", "alice", **permissions)

    async def up(self) -> "asyncio.Task[Outcome]":
        """Alice calls, and it is answered."""
        before = len(self.bob_ui.of(events.Connected))
        task = asyncio.ensure_future(self.call(max_duration_s=60.0))
        await self.bob_ui.wait(events.Connected, before + 1)
        await self.bob_ui.wait(events.Stats)
        return task

    def told(self) -> list[tuple[ConsentKind, ConsentState]]:
        return [(one.kind, one.state) for one in self.consents.remembered]

    def answered(self) -> list[bool]:
        """Of each call that was answered, whether with a picture."""
        return [one.video for one in self.bob_ui.of(events.Connected)]


def played(folder: Path, work: Callable[[Scene], Coroutine[Any, Any, None]], **bobs: Any) -> None:
    async def whole() -> None:
        scene = Scene(folder, **bobs)
        task = await listening(scene.bob)
        async with asyncio.timeout(3600.0):
            await work(scene)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    run_virtual(whole)
