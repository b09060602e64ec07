"""Glare: whom we call may be calling us, too. Here their lines are heard, and it is decided which line is the call.

If two sides that know each other's keys dial each other at once, the line dialled by the side with the lower static
key is used, the other one is dropped silently. The port of a dialler does not answer anybody else.
"""

import asyncio
from collections.abc import Callable

from p2pcall.engine.node import Node, PeerConnection
from p2pcall.proto.call.table import glare_winner
from p2pcall.proto.events import CallEnded, IncomingCall
from p2pcall.types import Reach


class Rivals:
    """The lines of those who call us while we dial; each tells our own line `glare` if it is to be taken instead."""

    def __init__(self, node: Node, own_key: bytes, on_call: Callable[[], None]) -> None:
        """`own_key`: our static key, where a line does not say which it has shown. `on_call`: one has invited."""
        self._node, self._own_key, self._on_call = node, own_key, on_call
        self._open = False
        self._invited: list[tuple[PeerConnection, IncomingCall]] = []
        self._heard: dict[asyncio.Task[None], PeerConnection] = {}
        """Lines of rivals that have not invited yet, by the task that waits for the invitation."""

    def let_in(self, keys: list[bytes]) -> None:
        """Accept knocks with these keys, because the person we call may be calling us; the port ignores all others."""
        endpoint = self._node.endpoint
        endpoint.contacts(keys)
        endpoint.reach = Reach.CONTACTS
        endpoint.accepting = bool(keys)
        self._open = True
        self._node.on_caller = self.hear

    def only_of(self, line: PeerConnection) -> None:
        """Our line is up: accept knocks only with the key that it has proven."""
        self._node.endpoint.contacts([line.peer.remote_static])
        self._node.endpoint.accepting = True

    def hear(self, rival: PeerConnection) -> None:
        """Wait for the invitation on this line."""
        task = asyncio.get_running_loop().create_task(self._hear(rival))
        self._heard[task] = rival
        task.add_done_callback(lambda done: self._heard.pop(done, None))

    async def _hear(self, rival: PeerConnection) -> None:
        signal = await rival.signals.get()
        while not isinstance(signal, IncomingCall | CallEnded):
            signal = await rival.signals.get()
        if self._open and isinstance(signal, IncomingCall):
            self._invited.append((rival, signal))
            self._on_call()

    def settle(self, line: PeerConnection) -> None:
        """Our line is up, and we are ready to talk: tell it if a rival's is the call; drop those that are not."""
        ours = self._own_key if line.peer.local_static is None else line.peer.local_static.public
        for rival, _ in list(self._invited):
            same = rival.peer.remote_static == line.peer.remote_static
            if same and glare_winner(ours, rival.peer.remote_static) == "theirs":
                line.tell("glare")
                return
            self._invited = [entry for entry in self._invited if entry[0] is not rival]
            rival.drop()

    def take(self) -> tuple[PeerConnection, IncomingCall]:
        """The rival that is the call."""
        return self._invited.pop(0)

    def forget(self) -> None:
        """Drop all other lines, once it is decided which line is the call."""
        self._open = False
        self._node.endpoint.accepting = False
        self._node.on_caller = None
        for task, rival in list(self._heard.items()):
            if task.cancel():  # else it has invited, and may be the line that was taken
                rival.drop()
        for rival, _ in self._invited:
            rival.drop()
        self._invited.clear()
