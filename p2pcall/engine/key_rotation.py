"""A changed key, told within a call: this side's to a contact who knows the former one, and the other side's to us.

Rules: a statement is believed only in a line that the former, pinned key has opened, and only if it is right for this
very line (`proto.handshake.rotation`). Then the new key takes the place of the old one with all else that is known of
the contact: the name, whether verified, the permissions. A stranger's statement does nothing, and a blocked person's
neither. A key that is ours, or another contact's, or blocked is not taken. Each side looks at one statement in a call.
When the new key is on the other side's disk it answers; only then does this side count it as told. An older program
ignores the statement; it is told again in each call. Left out: which of our keys a line begins with (`proto`).
"""

from collections.abc import Callable
from functools import partial

from p2pcall import events
from p2pcall.engine.node import PeerConnection
from p2pcall.engine.offload import BackgroundTasks, offload
from p2pcall.engine.trust import PeerIdentity
from p2pcall.engine.user_agent import UserAgent
from p2pcall.engine.verification import Verification
from p2pcall.errors import P2PCallError
from p2pcall.proto.handshake.noise import IKHFS
from p2pcall.proto.handshake.rotation import rotation_statement, stated_key
from p2pcall.proto.messages import ControlType
from p2pcall.store.identity import fingerprint


class KeyRotation:
    """One call: `begin` when it is up, `receive` for each message, `done` at the end."""

    def __init__(
        self,
        agent: UserAgent,
        line: PeerConnection,
        who: PeerIdentity,
        verification: Verification,
        warn: Callable[[str, str], None],
    ) -> None:
        self._agent, self._line, self._who = agent, line, who
        self._verification, self._warn = verification, warn
        self._tasks = BackgroundTasks()
        self._stated = self._heard = False
        """Whether we have made a statement; whether we have looked at one."""
        self.keeping = False
        """Whether a new key is on its way to the disk: which of the two is the contact's is not known meanwhile."""

    def begin(self) -> None:
        """Make the statement, if the other side still knows us by the former key."""
        peer, former = self._line.peer, self._agent.former_static
        if former is None or peer.local_static is None or not self._agent.is_untold(peer.remote_static):
            return
        if peer.local_static.public == former.public:
            now = self._agent.present_static
            statement = rotation_statement(former, now, peer.remote_static, peer.handshake_hash)
            self._stated = self._line.send_control(ControlType.ROTATED, statement)
        elif IKHFS.name in peer.protocol_name:  # they know the present key: only their answer was lost
            self._tasks.do(self._tell_told())

    def receive(self, kind: int, body: bytes) -> None:
        """Take a message of the other side; all other kinds are ignored."""
        if kind == ControlType.ROTATED and not self._heard:
            self._heard = True
            self._hear(body)
        elif kind == ControlType.ROTATION_KEPT and self._stated:
            self._stated = False
            self._tasks.do(self._tell_told())

    async def done(self) -> None:
        """Wait until what has begun is on disk."""
        await self._tasks.done()

    def _hear(self, statement: bytes) -> None:
        peer = self._line.peer
        assert peer.local_static is not None, "a call has a line"
        new = stated_key(statement, peer.remote_static, peer.local_static, peer.handshake_hash)
        if new is not None and not self._agent.is_own(new):
            self.keeping = True
            self._tasks.do(self._keep(new))

    async def _keep(self, new: bytes) -> None:
        agent, old, name = self._agent, self._line.peer.remote_static, self._who.name
        try:
            contact = await offload(partial(agent.contacts.rotate, old, new))
        except P2PCallError as error:
            self._warn(error.slug, f"the new key of {name} could not be kept: {error.text}")
            return
        finally:
            self.keeping = False
        if contact is None:
            return
        self._verification.rotated(new)
        self._line.send_control(ControlType.ROTATION_KEPT, b"")
        known = "verified" if contact.verified else "contact"
        agent.ui.emit(
            events.ContactRotated(self._line.peer.call_id, "remote", contact.name, fingerprint(new), known)
        )

    async def _tell_told(self) -> None:
        agent, public = self._agent, self._line.peer.remote_static
        try:
            await agent.told(public)
        except P2PCallError as error:
            self._warn(error.slug, f"{self._who.name} knows your new key, but this is not kept: {error.text}")
            return
        call, printed = self._line.peer.call_id, agent.identity.fingerprint
        agent.ui.emit(events.ContactRotated(call, "local", self._who.name, printed, self._verification.known))
