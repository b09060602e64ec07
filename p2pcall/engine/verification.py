"""Whether the words are the same: a person's answer during a call is stored in the contacts and reported as events.

If the words differ and the key was first seen in this call, the key is removed: it may belong to a man in the middle,
who must not become a contact. An older contact stays, but is not verified any more.
"""

import asyncio
from collections.abc import Callable
from functools import cached_property

from msgspec.structs import replace

from p2pcall import events
from p2pcall.engine.offload import offload
from p2pcall.engine.trust import PeerIdentity, TrustStore
from p2pcall.errors import P2PCallError
from p2pcall.events import Event


class Verification:
    """The question of one call. Current of the other side: `known` is new, contact or verified, `public` their key."""

    def __init__(
        self,
        trust: TrustStore,
        who: PeerIdentity,
        public: bytes,
        call: str,
        emit: Callable[[Event], None],
        epoch: Callable[[], float],
    ) -> None:
        self._trust, self._who, self.public, self._call = trust, who, public, call
        self._emit, self._epoch = emit, epoch
        self._turn = asyncio.Lock()
        """Keeps the order: a later answer is stored later."""
        self.known = who.known

    def rotated(self, public: bytes) -> None:
        """The other side's key is another one now; what is said about the words counts for that."""
        self.public = public
        self.__dict__.pop("safety_number", None)

    @cached_property
    def safety_number(self) -> tuple[str, ...]:
        """The safety number to show with the words; takes some milliseconds the first time."""
        return self._trust.safety_number(self.public)

    async def same(self) -> str:
        """The person says that the words are the same. Returns a short sentence for them."""
        try:
            async with self._turn:
                contact = await offload(
                    lambda: self._trust.verify(self._who.name, self.public, self._epoch())
                )
        except P2PCallError as error:
            self._emit(events.Warning(error.slug, f"{self._who.name} could not be marked: {error.text}"))
            return "could not be kept"
        if contact is None:
            return "this is your own key"
        self._who = replace(self._who, name=contact.name)
        self._tell("verified")
        return f"{contact.name} is verified"

    async def different(self) -> None:
        """The person says that the words are not the same; the call must end as `not-verified`."""
        name = self._who.name
        was_new = self._who.known == "new"
        try:
            async with self._turn:
                contact = await offload(lambda: self._trust.distrust(self.public, forget=was_new))
        except P2PCallError as error:
            self._emit(events.Warning(error.slug, f"{name} could not be unmarked: {error.text}"))
            return
        self._tell("new" if contact is None or was_new else "contact")

    def _tell(self, known: str) -> None:
        self.known = known
        self._emit(events.Verified(self._call, self._who.name, self._who.fingerprint, known))
