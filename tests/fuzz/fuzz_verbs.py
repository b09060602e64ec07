"""What a string of bytes may do on a stage: each verb takes its arguments from the bytes, and any will do.

Hand a datagram of the pool to some end as it is, changed, cut, mixed with another, or with its tag made anew; let a
hostile but authentic peer seal what our code never would; let time pass; let an end do something of its own.
"""

from collections.abc import Callable
from random import Random

from fuzz_stage import ADDRESSES, STATICS, End, Stage

from p2pcall.proto import constants as c
from p2pcall.proto import wire
from p2pcall.proto.admission import cookie
from p2pcall.proto.call.table import CallError
from p2pcall.proto.endpoint import Peer
from p2pcall.proto.handshake.noise import IKHFS, HandshakeState
from p2pcall.proto.line.control import ControlFull
from p2pcall.proto.messages import ControlType, Reason
from p2pcall.proto.phase import PhaseName
from p2pcall.proto.wire import Channel
from p2pcall.types import Address

STEPS_S = (0.0, 0.001, 0.02, 0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 60.0, 115.0, 120.0, 180.0, 0.06)
"""Times that may pass at once: the protocol's own timers and less."""
FRAME_SIZES = (0, 1, 8, 9, 10, 11, 20, 21, 22, 105, 106, 107)
"""Of pings, pongs, acknowledgements and the least and longest messages, and beside them."""
MAX_VERBS = 120
"""Of one run."""


SENT = [reason for reason in Reason if not reason.local]


class Game(Stage):
    """A stage and its verbs; `play` lets the bytes choose among some of them."""

    def _end(self) -> End:
        return self.ends[self.source.below(len(self.ends))]

    def _picked(self) -> tuple[bytes, Address, End]:
        """A datagram of the pool, the latest first, where it comes from and for whom."""
        source = self.source
        which = source.number()
        if not self.pool:
            return b"", ADDRESSES[3], self.ends[1]
        data, origin, destination = self.pool[-1 - which % len(self.pool)]
        how = source.number()
        end = next((end for end in self.ends if end.address == destination), self.ends[0])
        if how & 3 == 1:
            end = self.ends[how >> 4 & 1]
        elif how & 3 == 2:
            origin = ADDRESSES[how >> 4 & 3]
        return data, origin, end

    def as_it_is(self) -> None:
        data, origin, end = self._picked()
        self.give(end, data, origin)

    def _changed(self) -> tuple[bytes, Address, End]:
        """A datagram of the pool with a few bytes changed, or cut, or mixed with another."""
        source = self.source
        picked, origin, end = self._picked()
        data = bytearray(picked)
        for _ in range(1 + source.below(3)):
            match source.below(5):
                case 0 if data:
                    data[source.number(2) % len(data)] ^= source.number() or 1
                case 1:
                    del data[source.number(2) % (len(data) + 1) :]
                case 2:
                    data += source.take(source.number())
                case 3 if self.pool:
                    other, at = self.pool[source.below(len(self.pool))][0], source.number(2)
                    data[at:] = other[at:]
                case 4:
                    at, new = source.number(), source.take(source.below(9))
                    data[at : at + len(new)] = new
        return bytes(data), origin, end

    def damaged(self) -> None:
        data, origin, end = self._changed()
        self.give(end, data, origin)

    def signed_anew(self) -> None:
        """As a contact would, at whatever time of day."""
        data, origin, end = self._changed()
        how = self.source.number()
        pair = cookie.Mac(cookie.pair_key(STATICS[how >> 4 & 1], end.static.public, initiator=True))
        said = data[: c.KNOCK_TAGGED_BYTES]
        if how & 2 and len(said) == c.KNOCK_TAGGED_BYTES:
            nonce, time = said[16:32], self.source.take(c.KNOCK_TIME_BYTES).rjust(c.KNOCK_TIME_BYTES, b"\0")
            said = said[:32] + cookie.hide_time(pair, nonce, time) + said[40:]
        self.give(end, said + pair(said), origin)

    def shown(self) -> None:
        """A peer shows its nonce, the promised one or another, whether it is its turn or not."""
        end, peer = self._end_with_peer()
        how = self.source.number()
        exchange = None if peer is None or peer.line is None else peer.line.call._exchange
        if peer is None or exchange is None:
            return
        nonce = exchange.nonce if how & 1 else self.source.take(c.NONCE_BYTES).ljust(c.NONCE_BYTES, b"\0")
        kind, rest = (ControlType.ACCEPT, b"\3\0") if how & 2 else (ControlType.REVEAL, b"")
        control = peer.line.control
        frame = b"\0" + control._next_seq.to_bytes(8, "big") + bytes([kind]) + nonce + rest
        control._next_seq += 1
        self._sealed(end, peer, wire.pack_frame(Channel.CONTROL, frame))

    def raw(self) -> None:
        """Bytes out of nothing, for one of the indexes that there are."""
        source, end = self.source, self._end()
        data = bytearray(source.take(source.number(2) % (c.MAX_HANDSHAKE_DATAGRAM_BYTES + 2)))
        indexes = [*end.endpoint._state.peers, *end.endpoint._admission._by_index]
        if indexes and len(data) >= c.DATA_HEADER_BYTES:
            which = indexes[source.below(len(indexes))]
            data[4:8] = which.to_bytes(c.INDEX_BYTES, "big")
        self.give(end, bytes(data), ADDRESSES[source.below(4)])

    def _sealed(self, end: End, peer: Peer, plaintext: bytes) -> None:
        """What a hostile peer seals for another end."""
        alive = peer.line is not None and peer.phase.name is not PhaseName.GONE
        datagram = None if not alive else peer.line.epochs.seal(plaintext[: c.MAX_PLAINTEXT_BYTES], self.now)
        if datagram is None:
            return
        self._genuine[datagram] = None
        for other in self.ends:
            if other.address == peer.address:
                self.give(other, datagram, end.address)

    def hostile_record(self) -> None:
        end, peer = self._end_with_peer()
        if peer is not None:
            self._sealed(end, peer, self.source.take(self.source.number(2) % (c.MAX_PLAINTEXT_BYTES + 1)))

    def hostile_frame(self) -> None:
        """One of our own channels more often than not, and often of the length that it should have."""
        source = self.source
        end, peer = self._end_with_peer()
        if peer is not None:
            channel, how = source.number(), source.number()
            size = FRAME_SIZES[(how & 0x3F) % len(FRAME_SIZES)] if how & 0x80 else how
            payload = source.take(size).ljust(size, b"\0")
            if how & 0x40 and payload:  # the kinds that there are, and two more
                payload = bytes([payload[0] & 3]) + payload[1:]
            self._sealed(end, peer, wire.pack_frame(channel if channel & 0x80 else channel & 7, payload))

    def hostile_message(self) -> None:
        """A control message whose turn it is, or one a few places off."""
        source = self.source
        end, peer = self._end_with_peer()
        if peer is None or peer.line is None:
            return
        control = peer.line.control
        ahead = source.number()
        seq = control._next_seq + (ahead if ahead < 2 * c.CONTROL_WINDOW else 0)
        kind, size = source.number(), source.number()
        body = source.take(size % (c.CONTROL_BODY_BYTES + 2))
        if not ahead:
            control._next_seq += 1  # so that our own messages go on after it
        frame = b"\0" + seq.to_bytes(8, "big") + bytes([kind]) + body
        self._sealed(end, peer, wire.pack_frame(Channel.CONTROL, frame))

    def hostile_rekeying(self) -> None:
        """A rekeying message in its parts, true or not, all of them or all but one, once or twice."""
        source = self.source
        end, peer = self._end_with_peer()
        if peer is None or peer.line is None or peer.phase.name is PhaseName.GONE:
            return
        keys = peer.line.keys
        how, left_out = source.number(), source.number()
        which = 1 if peer.initiator else 2
        if peer.initiator and how & 1:
            shown = STATICS[2] if how & 2 else end.static
            prologue = c.REKEY_LABEL + keys.epochs.current.handshake_hash
            cipher, entropy = keys.epochs.current.session.cipher, Random(how).randbytes
            state = HandshakeState(
                IKHFS, cipher, True, prologue, shown, entropy=entropy, rs=peer.remote_static
            )
            message = state.write_message(source.take(4).ljust(4, b"\0"))
        else:
            message = Random(how).randbytes(c.REKEY_FIRST_BYTES if which == 1 else c.REKEY_SECOND_BYTES)
        control = peer.line.control
        for part, at in enumerate(range(0, len(message), c.REKEY_PART_BYTES)):
            if part != left_out:
                body = bytes([which, part]) + message[at : at + c.REKEY_PART_BYTES]
                frame = b"\0" + control._next_seq.to_bytes(8, "big") + bytes([ControlType.REKEY]) + body
                control._next_seq += 1
                self._sealed(end, peer, wire.pack_frame(Channel.CONTROL, frame))

    def live_on(self) -> None:
        """Two minutes in which nobody is hostile: keys change."""
        for _ in range(4):
            self.now += 30.0
            for end in self.ends:
                end.endpoint.handle_timer(self.now)
            self.exchange()

    def _end_with_peer(self) -> tuple[End, Peer | None]:
        end = self._end()
        return end, end.peers[self.source.below(len(end.peers))] if end.peers else None

    def pass_time(self) -> None:
        self.now += STEPS_S[self.source.below(len(STEPS_S))]
        for end in self.ends:
            end.endpoint.handle_timer(self.now)
            self._check(end)

    def drain_all(self) -> None:
        for end in self.ends:
            self.drain(end)

    def own_wish(self) -> None:
        """What the owner of an end may ask for; what makes no sense is refused with one of these."""
        _, peer = self._end_with_peer()
        if peer is None:
            return
        now, how = self.now, self.source.number()
        reason = SENT[self.source.below(len(SENT))]
        wishes: list[Callable[[], None]] = [
            lambda: peer.invite("one", True, True, now),
            lambda: peer.ring("one", now),
            lambda: peer.accept("one", True, False, now),
            lambda: peer.decline(reason, now),
            lambda: peer.hangup(reason, now),
            lambda: peer.send(Channel.AUDIO, b"sound" * 40, now),
            lambda: peer.send(Channel.VIDEO, b"picture" * 60, now, padded_to=765),
            lambda: peer.send(Channel.FEEDBACK, b"\2", now),
            lambda: peer.send_control(ControlType.MEDIA, b"\1", now),
            lambda: peer.send_control(64, b"x" * (how & 63), now),
            lambda: peer.nudge(now),
            lambda: peer.close(),
            lambda: self.dial(how & 1, how >> 1 & 1 ^ 1, known=bool(how & 16)),
        ]
        try:
            wishes[self.source.below(len(wishes))]()
        except (CallError, ControlFull, ValueError, RuntimeError):
            return

    def play(self, verbs: list[Callable[[], None]]) -> None:
        """Let the bytes choose among these until they are used up; then an honest talk still works."""
        for _ in range(MAX_VERBS):
            if not self.source.more:
                break
            verbs[self.source.below(len(verbs))]()
        self.exchange()
