"""What public and private announcements have in common: a state, and a task that begins again on every change."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from enum import StrEnum

from p2pcall.errors import P2PCallError
from p2pcall.net.link import Link, LinkFollower


class AnnounceState(StrEnum):
    """The state of an announcement."""

    STARTING = "starting"
    ANNOUNCED = "announced"
    NO_NETWORK = "no-network"
    BLOCKED = "blocked"


class Announcement(ABC):
    """Announces on the link until stopped; calls `on_change` when `name` or `state` changes."""

    def __init__(
        self,
        name: str,
        *,
        bound: Sequence[str] = (),
        only: Sequence[str] = (),
        on_change: Callable[["Announcement"], None] | None = None,
    ) -> None:
        """`bound`, `only`: as for `look_for_link`."""
        self.name = name
        """The name as announced; empty if there is none."""
        self.state = AnnounceState.STARTING
        self.problem: P2PCallError | None = None
        """Why nothing is announced, in the states NO_NETWORK and BLOCKED."""
        self._bound, self._only = tuple(bound), tuple(only)
        self._on_change = on_change
        self._settled = asyncio.Event()
        self._follower = LinkFollower(bound, self._move, only=only, due=self._due)

    def start(self) -> None:
        """Starts in a task of its own."""
        self._follower.start()

    async def settled(self) -> AnnounceState:
        """Waits until it is announced, or until it is known that it cannot be."""
        await self._settled.wait()
        return self.state

    async def stop(self) -> None:
        """Says goodbye (0.3 s) and ends. Idempotent."""
        await self._follower.stop()
        await self._withdraw()

    @abstractmethod
    async def _move(self, link: Link | None) -> None:
        """Announces there, and nowhere else any more."""

    @abstractmethod
    async def _withdraw(self) -> None:
        """Says goodbye."""

    def _due(self) -> bool:
        """Whether to announce anew although the link is the same."""
        return False

    def _set(self, state: AnnounceState, name: str, problem: P2PCallError | None) -> None:
        changed = (state, name) != (self.state, self.name)
        self.state, self.name, self.problem = state, name, problem
        self._settled.set()
        if problem is not None:
            self._follower.retry()
        if changed and self._on_change is not None:
            self._on_change(self)
