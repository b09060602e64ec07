"""One line: its keys, its address, and the frames that are sent and received with them.

It does not know the state of the call (`call`) or who the other side is; the phases of a peer do. Each concern has
its own object: `epochs` and `rekey` for keys, `records` for datagram sizes, `control` for messages, and so on.
"""

from collections import Counter
from collections.abc import Callable
from math import inf

from p2pcall.proto import constants as c
from p2pcall.proto import wire
from p2pcall.proto.call.call import Call
from p2pcall.proto.handshake.exchange import Established, Local
from p2pcall.proto.line.control import Control
from p2pcall.proto.line.epochs import Epoch, Epochs
from p2pcall.proto.line.liveness import Liveness
from p2pcall.proto.line.path import Path
from p2pcall.proto.line.records import Records
from p2pcall.proto.line.rekey import Rekey
from p2pcall.proto.line.session import Session
from p2pcall.proto.line.timing import Timing
from p2pcall.proto.wire import Channel, DropReason
from p2pcall.types import Address


class Line:
    """The connection that a finished handshake has opened. Its datagrams go to `path.address`."""

    __slots__ = ("call", "control", "epochs", "keys", "liveness", "path", "records", "timing")

    def __init__(
        self,
        done: Established,
        index: int,
        address: Address,
        local: Local,
        claim: Callable[[], int],
        release: Callable[[int], None],
        dropped: Counter[DropReason],
        now: float,
        *,
        dialled: bool,
    ) -> None:
        """`claim` gives a new index of ours for an epoch; `release` is called with each index no longer used."""
        session = Session(done.sending, done.receiving, done.remote_index)
        self.epochs = Epochs(Epoch(session, index, done.handshake_hash, now), release)
        static = done.local_static
        self.keys = Rekey(
            self.epochs, done.remote_static, local, claim, release, static=static, dialled=dialled
        )
        self.control = Control()
        self.call = Call(self.control, done.sas)
        self.timing = Timing(now)
        self.records = Records(self.control, self.timing, dropped)
        self.path = Path(local.entropy, address, now)
        self.liveness = Liveness(now)

    @property
    def asks_only(self) -> bool:
        """Whether the address has not agreed for too long: then it gets only consent pings."""
        return self.path.lapsed and not self.records.quiet

    @property
    def lost_at(self) -> float:
        """When the line is given up: nothing was heard, or its address did not agree."""
        return min(self.liveness.lost_at, self.path.lost_at)

    def due(self, now: float) -> list[bytes]:
        """The small records that leave now; if `asks_only`, only one for each consent ping."""
        number = self.path.consent_due(now)
        if number is not None:
            self.timing.ask(number)
        if not self.asks_only:
            return self.records.due(now)
        return self.records.due(now, 1) if number is not None else []

    def next_due(self) -> float:
        """When `due` has something."""
        at = None if self.asks_only else self.records.next_due()
        return inf if at is None else at

    def probe_due(self) -> tuple[bytes, Address] | None:
        """The record that probes a candidate address, and that address."""
        probe = None if self.records.quiet else self.path.probe_due()
        if probe is None:
            return None
        ping, candidate = probe
        return wire.pack_frame(Channel.TIMING, ping).ljust(c.RECORD_BYTES, b"\0"), candidate

    def next_timer(self) -> float:
        """When the keys or the address need attention."""
        return min(self.epochs.next_timer(), self.keys.next_timer(self.control), self.path.next_timer)
