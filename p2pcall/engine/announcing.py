"""`listen` announces on the local network that it can be called, and reports problems with it to the user.

Left out: the announcing itself (`net.discovery`, `net.private_announcer`, loaded only when something is announced).
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from p2pcall import events
from p2pcall.engine.offload import offload
from p2pcall.engine.policy import Announce
from p2pcall.engine.user_agent import UserAgent

if TYPE_CHECKING:
    from p2pcall.engine.presence import PresenceKeys
    from p2pcall.net.announcement import Announcement
    from p2pcall.net.discovery import Announcer
    from p2pcall.net.private_announcer import PrivateAnnouncer


class Announcing:
    """Announces from `start` to `stop`, unless the settings say no."""

    def __init__(self, agent: UserAgent, may_see: Callable[[bytes], bool] = lambda public: True) -> None:
        """`may_see(public)`: whether that contact may see a private announcement."""
        self._agent, self._may_see = agent, may_see
        self._announcement: Announcement | None = None
        self._private: PrivateAnnouncer | None = None
        self._keys: PresenceKeys | None = None
        self._shown_to: frozenset[bytes] = frozenset()
        """The contacts who may see the private announcement."""
        self._told_name = ""
        """The announced name that the user was told last."""

    def start(self) -> None:
        """Begin to announce, in the background."""
        match self._agent.settings.announce:
            case Announce.PUBLIC:
                self._announcement = self._publicly()
            case Announce.CONTACTS:
                self._announcement = self._private = self._privately()
        if self._announcement is not None:
            self._announcement.start()

    def renew(self) -> None:
        """Announce anew if others may see it now."""
        if self._private is not None and self._contacts() != self._shown_to:
            self._private.renew()

    async def stop(self) -> None:
        """Withdraw the announcement."""
        if self._announcement is not None:
            await self._announcement.stop()

    def _publicly(self) -> "Announcer":
        from p2pcall.net.discovery import Announcer
        from p2pcall.net.lanpeer import announced_name, instance_label

        agent, settings = self._agent, self._agent.settings
        self._told_name = announced_name(instance_label(settings.name))
        announcer = Announcer(
            settings.name,
            agent.node.driver.port,
            agent.env.entropy,
            bound=settings.bind,
            only=settings.announce_on,
            on_change=self._announced,
        )
        if announcer.name != settings.name:
            text = f"the name is too long for the network: others find you as {announcer.name}"
            agent.ui.emit(events.Warning("name-changed", text))
        return announcer

    def _privately(self) -> "PrivateAnnouncer":
        from p2pcall.engine.presence import PresenceKeys
        from p2pcall.net.private_announcer import PrivateAnnouncer

        agent, settings = self._agent, self._agent.settings
        self._keys = PresenceKeys(agent.identity.private, announcer=True)
        return PrivateAnnouncer(
            self._texts,
            agent.env.clock.time,
            agent.env.entropy,
            bound=settings.bind,
            only=settings.announce_on,
            on_change=self._announced,
        )

    def _contacts(self) -> frozenset[bytes]:
        return frozenset(public for public in self._agent.trust.let_in() if self._may_see(public))

    async def _texts(self, epoch: float) -> list[bytes]:
        """Not on the loop: with the most contacts it takes 0.2 s."""
        keys, agent = self._keys, self._agent
        assert keys is not None
        contacts = self._shown_to = self._contacts()
        port, entropy = agent.node.driver.port, agent.env.entropy
        return await offload(lambda: keys.texts(contacts, epoch, port, entropy))

    def _announced(self, announcement: "Announcement") -> None:
        from p2pcall.net.announcement import AnnounceState

        if announcement.problem is not None:
            self._agent.ui.emit(events.Warning(announcement.problem.slug, announcement.problem.text))
        elif announcement.state is AnnounceState.ANNOUNCED and announcement.name not in ("", self._told_name):
            self._told_name = announcement.name
            text = f"somebody here has that name already: others find you as {announcement.name}"
            self._agent.ui.emit(events.Warning("name-taken", text))
