"""Somebody in the middle: answers as the listener, calls the listener as the caller, and listens to both.

`python middle.py PORT` runs two lines with keys of its own: one with whoever dials it, one with the listener on
that port of this machine, to whom it is a caller who has the listener's key if that is given: `middle.py PORT
KEYHEX`. Everything goes on from one to the other: names, answers, sound, picture, messages, the end. It writes its own
port on the first line, and at the end of each call what it has heard, as JSON.
"""

import contextlib
import json
import os
import select
import socket
import sys
import time
from dataclasses import dataclass, field

from p2pcall.proto.endpoint import Endpoint, Peer
from p2pcall.proto.events import (
    Accepted,
    CallEnded,
    HandshakeDone,
    HandshakeFailed,
    IncomingCall,
    Message,
    Payload,
    ProtocolEvent,
    RemoteRinging,
)
from p2pcall.proto.handshake.noise import KeyPair
from p2pcall.proto.messages import Reason

HOST = "127.0.0.1"
RECEIVE_BYTES = 2048


@dataclass(slots=True)
class Between:
    """One call that passes through here."""

    caller: Peer
    listener: Peer
    invitation: IncomingCall | None = None
    ready: bool = False
    payloads: list[int] = field(default_factory=lambda: [0, 0])
    """Of sound and picture, in the clear: from the caller, from the listener."""

    def other(self, peer: Peer) -> Peer:
        return self.listener if peer is self.caller else self.caller


class Middle:
    """Feeds an endpoint and glues its lines together in pairs."""

    def __init__(self, port: int, key: bytes | None) -> None:
        self._endpoint = Endpoint(KeyPair.generate(os.urandom), os.urandom, wall=lambda _: time.time())
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((HOST, 0))
        self._target = (HOST, port)
        self._key = key
        self._pairs: dict[Peer, Between] = {}
        self._callers: set[bytes] = set()
        print(self._socket.getsockname()[1], flush=True)

    def run(self) -> None:
        """For ever."""
        while True:
            when = self._endpoint.next_timer()
            wait = None if when is None else max(0.0, when - time.monotonic())
            if select.select([self._socket], [], [], wait)[0]:
                with contextlib.suppress(ConnectionRefusedError):
                    data, address = self._socket.recvfrom(RECEIVE_BYTES)
                    self._endpoint.receive_datagram(data, address, time.monotonic())
            self._endpoint.handle_timer(time.monotonic())
            while (event := self._endpoint.next_event()) is not None:
                self._take(event, time.monotonic())
            for data, address in self._endpoint.datagrams_to_send(time.monotonic()):
                self._socket.sendto(data, address)

    def _take(self, event: ProtocolEvent, now: float) -> None:
        peer = event.peer
        if isinstance(event, HandshakeDone) and not peer.initiator:
            self._callers.add(peer.remote_static)
            self._endpoint.contacts(self._callers)  # who has called may know the key here next time
            listener = self._endpoint.dial([self._target], now, self._key)
            self._pairs[peer] = self._pairs[listener] = Between(peer, listener)
            return
        pair = self._pairs.get(peer)
        if pair is None:
            return
        other = pair.other(peer)
        match event:
            case HandshakeDone():
                pair.ready = True
                self._invite(pair, now)
            case IncomingCall():
                pair.invitation = event
                self._invite(pair, now)
            case RemoteRinging(name=name):
                other.ring(name, now)
            case Accepted(name=name, audio=audio, video=video):
                other.accept(name, audio, video, now)
            case Payload(channel=channel, data=data):
                pair.payloads[peer is pair.listener] += 1
                other.send(channel, data, now)
            case Message(kind=kind, body=body):
                other.send_control(kind, body, now)
            case CallEnded(reason=reason):
                self._end(pair, other, reason, now)
            case HandshakeFailed():
                self._end(pair, other, Reason.FAILED, now)

    @staticmethod
    def _invite(pair: Between, now: float) -> None:
        said = pair.invitation
        if said is not None and pair.ready:
            pair.listener.invite(said.name, said.audio, said.video, now)

    def _end(self, pair: Between, other: Peer, reason: Reason, now: float) -> None:
        del self._pairs[pair.caller], self._pairs[pair.listener]
        other.hangup(reason, now)
        print(json.dumps({"heard": pair.payloads, "reason": reason.slug}), flush=True)


if __name__ == "__main__":
    Middle(int(sys.argv[1]), bytes.fromhex(sys.argv[2]) if sys.argv[2:] else None).run()
