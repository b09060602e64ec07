"""`listen` announces the user's name on the local network, and reports problems with it to the user.

Left out: the announcing itself (`net.discovery`, which is loaded only when something is announced).
"""

from typing import TYPE_CHECKING

from p2pcall import events
from p2pcall.engine.policy import Announce
from p2pcall.engine.user_agent import UserAgent

if TYPE_CHECKING:
    from p2pcall.net.discovery import Announcer


class Announcing:
    """Announces from `start` to `stop`, unless the settings say no."""

    def __init__(self, agent: UserAgent) -> None:
        self._agent = agent
        self._announcer: Announcer | None = None
        self._told_name = ""
        """The announced name that the user was told last."""

    def start(self) -> None:
        """Begin to announce, in the background."""
        agent, settings = self._agent, self._agent.settings
        if settings.announce is Announce.OFF:
            return
        from p2pcall.net.discovery import Announcer
        from p2pcall.net.lanpeer import announced_name, instance_label

        self._told_name = announced_name(instance_label(settings.name))
        announcer = self._announcer = Announcer(
            settings.name,
            agent.node.driver.port,
            agent.env.entropy,
            bound=settings.bind,
            on_change=self._announced,
        )
        if announcer.name != settings.name:
            text = f"the name is too long for the network: others find you as {announcer.name}"
            agent.ui.emit(events.Warning("name-changed", text))
        announcer.start()

    async def stop(self) -> None:
        """Withdraw the announcement."""
        if self._announcer is not None:
            await self._announcer.stop()

    def _announced(self, announcer: "Announcer") -> None:
        from p2pcall.net.discovery import AnnounceState

        if announcer.problem is not None:
            self._agent.ui.emit(events.Warning(announcer.problem.slug, announcer.problem.text))
        elif announcer.state is AnnounceState.ANNOUNCED and announcer.name != self._told_name:
            self._told_name = announcer.name
            text = f"somebody here has that name already: others find you as {announcer.name}"
            self._agent.ui.emit(events.Warning("name-taken", text))
