"""A call between two people who look at screens, in virtual time: `with_a_call(tmp_path, scene)`."""

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import av
from calls import ALICE, BOB, FakeUi, agent, dial, listening
from virtual import Network, run_virtual

from p2pcall import events
from p2pcall.device.base import OnError
from p2pcall.engine.node import PeerConnection
from p2pcall.engine.outcome import Outcome
from p2pcall.engine.policy import Answer
from p2pcall.engine.user_agent import UserAgent
from p2pcall.store.consent_log import Consent
from p2pcall.store.contact import Contact
from p2pcall.store.contacts import Contacts
from p2pcall.store.home import Home
from p2pcall.view.hud import HudState


class FakeView:
    """Remembers what is told beside the picture."""

    def __init__(self) -> None:
        self.hud = HudState()
        self.refreshed = 0
        self.on_error: OnError | None = None
        self.on_resized: Callable[[], None] | None = None

    def set_hud(self, state: HudState) -> None:
        self.hud = state

    def view_size(self) -> tuple[int, int]:
        return (0, 0)

    def show(self, frame: av.VideoFrame) -> None:
        """No picture."""

    def show_local(self, frame: av.VideoFrame | None) -> None:
        """No picture."""

    def next_mode(self) -> None:
        """There is but one."""

    def clear_remote(self) -> None:
        """Nothing to clear."""

    def resized(self) -> None:
        """No size."""

    def refresh(self) -> None:
        self.refreshed += 1

    def close(self) -> None:
        """Nothing to restore."""


class SeeingUi(FakeUi):
    """A person with a screen."""

    def __init__(self) -> None:
        super().__init__()
        self.view = FakeView()

    def open_view(self, mode: str, on_key: Callable[[str], None]) -> Any:
        self.press = on_key
        return self.view


class ConsentsInMemory:
    """In place of the call log."""

    def __init__(self) -> None:
        self.remembered: list[Consent] = []

    def remember(self, consent: Consent) -> None:
        self.remembered.append(consent)


class Pair:
    """A call between alice, who dials and looks at a screen, and bob, who answers anyone and has one too."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        """`settings` are alice's."""
        network = self.network = Network()
        self.folder = folder
        self.alice_ui, self.bob_ui = SeeingUi(), SeeingUi()
        self.bob: UserAgent = agent(
            folder, "bob", self.bob_ui, network, BOB, 2, answer=Answer.ANYONE, once=True
        )
        self.alice: UserAgent = agent(folder, "alice", self.alice_ui, network, ALICE, 1, **settings)
        self.bob.consents, self.alice.consents = ConsentsInMemory(), ConsentsInMemory()

    async def up(self) -> "asyncio.Task[Outcome]":
        """Until the call is up on both sides; bob's `listen`."""
        self.listen = await listening(self.bob)
        self.calling = asyncio.ensure_future(dial(self.alice))
        await self.alice_ui.wait(events.Stats)
        await self.bob_ui.wait(events.Stats)
        return self.listen

    async def end(self) -> tuple[Outcome, Outcome]:
        """Until both sides know that it is over."""
        return await self.calling, await self.listen

    def bob_line(self) -> PeerConnection:
        """Bob's line to alice."""
        (line,) = self.bob.node._lines.values()
        return line

    def known(self, who: str) -> list[Contact]:
        return Contacts(Home.at(self.folder / who)).all()


def with_a_call(folder: Path, scene: Callable[[Pair], Coroutine[Any, Any, None]], **settings: Any) -> None:
    """Run a scene in a call; `settings` are alice's."""

    async def work() -> None:
        pair = Pair(folder, **settings)
        await pair.up()
        await scene(pair)

    run_virtual(work)
