"""The keys of one line over time. An epoch is the session of one handshake; a newer epoch replaces it.

Each epoch has its own receiver index, so a datagram names its epoch. `current` seals. On the side that dialled, a
new epoch is current at once. On the other side it is first `following`: it only opens, until the first authentic
datagram under it shows that the dialling side has it too. The epoch before is `previous`: it only opens, until
PREVIOUS_EPOCH_S after the other side was heard under the new one. No epoch is used after REJECT_AFTER_S. The
dialling side counts it from the start of its handshake, so its epochs are never younger than the other side's.

Rule: a replaced epoch is wiped and its index released. Left out: how a new epoch is made (`rekey`).
"""

from collections.abc import Callable

from msgspec import Struct

from p2pcall.proto import constants as c
from p2pcall.proto.line.session import Session
from p2pcall.proto.wire import DATA, DropReason


class Epoch(Struct, eq=False):
    """One handshake's keys. Datagrams to us carry `index`; the next rekeying is bound to `handshake_hash`."""

    session: Session
    index: int
    handshake_hash: bytes
    born: float
    heard: bool = False

    @property
    def dies(self) -> float:
        """When it stops sealing and opening."""
        return self.born + c.REJECT_AFTER_S


class Epochs:
    """The epochs of one line. `newest` tells whether the last opened datagram was the newest of all so far."""

    __slots__ = ("_by_index", "_following", "_previous", "_release", "_wipe_at", "current", "newest")

    def __init__(self, first: Epoch, release: Callable[[int], None]) -> None:
        """`release` is called with each index that no datagram may carry any more."""
        self.current = first
        self.newest = False
        self._previous: Epoch | None = None
        self._following: Epoch | None = None
        self._wipe_at: float | None = None
        self._by_index = {first.index: first}
        self._release = release

    def seal(self, plaintext: bytes, now: float) -> bytes | None:
        """The next datagram; None when the epoch is used up: then nothing may be sent."""
        epoch = self.current
        session = epoch.session
        if now >= epoch.born + c.REJECT_AFTER_S or session.records >= c.REJECT_AFTER_RECORDS:
            return None
        return session.seal(plaintext)

    def open(self, datagram: bytes, now: float) -> bytes | DropReason:
        """The plaintext of a datagram of at least `MIN_DATA_BYTES`, opened with the epoch that it names."""
        _, _, index, _ = DATA.unpack_from(datagram)
        epoch = self._by_index.get(index)
        if epoch is None:
            return DropReason.INDEX
        if now >= epoch.born + c.REJECT_AFTER_S:
            return DropReason.EXPIRED
        plaintext = epoch.session.open(datagram)
        if isinstance(plaintext, DropReason):
            return plaintext
        if not epoch.heard:
            self._first_heard(epoch, now)
        self.newest = epoch.session.newest and (epoch is self.current or not self.current.heard)
        return plaintext

    def spent(self, now: float) -> bool:
        """Whether nothing can be sealed any more."""
        return now >= self.current.dies or self.current.session.records >= c.REJECT_AFTER_RECORDS

    def switch(self, epoch: Epoch) -> None:
        """Seal under a new epoch from now on; used on the dialling side."""
        self._add(epoch)
        self._succeed(epoch)

    def offer(self, epoch: Epoch) -> None:
        """Open under a new epoch, and seal under it once the other side has; used on the called side."""
        self._wipe(self._following)
        self._following = epoch
        self._add(epoch)

    def expire(self, now: float) -> None:
        """Wipe expired epochs."""
        previous, following = self._previous, self._following
        if previous is not None and now >= self._previous_ends(previous):
            self._wipe(previous)
            self._previous = self._wipe_at = None
        if following is not None and now >= following.dies:
            self._wipe(following)
            self._following = None

    def next_timer(self) -> float:
        """When `expire` has something to do, or the current epoch ends."""
        times = [self.current.dies]
        if self._previous is not None:
            times.append(self._previous_ends(self._previous))
        if self._following is not None:
            times.append(self._following.dies)
        return min(times)

    def wipe(self) -> None:
        """Forget all keys; nothing can be sealed or opened afterwards."""
        for epoch in list(self._by_index.values()):
            self._wipe(epoch)
        self._previous = self._following = None

    def _first_heard(self, epoch: Epoch, now: float) -> None:
        epoch.heard = True
        if epoch is self._following:
            self._following = None
            self._succeed(epoch)
        if epoch is self.current and self._previous is not None:
            self._wipe_at = now + c.PREVIOUS_EPOCH_S

    def _succeed(self, epoch: Epoch) -> None:
        self._wipe(self._previous)
        self._previous, self.current, self._wipe_at = self.current, epoch, None

    def _previous_ends(self, previous: Epoch) -> float:
        return previous.dies if self._wipe_at is None else min(previous.dies, self._wipe_at)

    def _add(self, epoch: Epoch) -> None:
        self._by_index[epoch.index] = epoch

    def _wipe(self, epoch: Epoch | None) -> None:
        if epoch is not None:
            epoch.session.wipe()
            del self._by_index[epoch.index]
            self._release(epoch.index)
