"""What caller and called have in common: a socket, a call on a line, and files of Opus frames.

Written from p2pcall-protocol(7) alone: sections CALLS, AUDIO and FEEDBACK.
"""

import argparse
import json
import os
import select
import socket
import struct
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from door import Address
from handshake import NewKeys
from line import ACCEPT, DECLINE, FAILED, HANGUP, INVITE, REVEAL, RINGING, Line
from patterns import NONCE_BYTES, Keys

RING_S = 30.0
REVEAL_TIMEOUT_S = 5.0
CONFIRM_AGAIN_S = 0.25
FRAME_S = 0.02
REPORT_FRAMES = 50
EARLY_REPORTS = (10, 20)
"""Frames with further ones: the first may be lost, and who plays a file waits for it."""
LINGER_S = 1.0
AUDIO_FLAG = 1
BROKEN_PROMISE, REFUSED, UNANSWERED = 5, 4, 3
"""Exit statuses."""

Message = tuple[int, bytes]


def tell(event: str, **fields: object) -> None:
    print(json.dumps({"v": 1, "event": event, **fields}), flush=True)


class Socket:
    """A UDP socket with waits."""

    def __init__(self, bind: Address) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(bind)
        self._socket.setblocking(False)
        self.port = int(self._socket.getsockname()[1])

    def send(self, datagram: bytes, where: Address) -> None:
        self._socket.sendto(datagram, where)

    def receive(self, until: float) -> tuple[bytes, Address] | None:
        """The next datagram, and from where; None when it is `until`."""
        ready, _, _ = select.select([self._socket], [], [], max(0.0, until - time.monotonic()))
        if not ready:
            return None
        try:
            return self._socket.recvfrom(2048)
        except ConnectionRefusedError:
            return None


class Shaken(Protocol):
    """A handshake that is done: a `Dial` or what the `Door` has answered."""

    keys: Keys | None

    @property
    def own_nonce(self) -> bytes: ...
    @property
    def protocol(self) -> str: ...
    @property
    def remote_static(self) -> bytes: ...
    def fits(self, nonce: bytes) -> bool: ...
    def words(self, shown: bytes) -> list[str]: ...


class BrokenPromise(Exception):
    """The other side has shown another nonce than it had promised."""


class Ended(Exception):
    """The other side has ended the call, or nothing came of it: the reason that it gave, or 0."""

    def __init__(self, reason: int = 0) -> None:
        super().__init__(reason)
        self.reason = reason


def name_body(name: str) -> bytes:
    encoded = name.encode()
    return bytes((len(encoded),)) + encoded


class Call:
    """A call on a line: `invite` or `answer`, then `talk`, then `hang_up`."""

    def __init__(self, udp: Socket, shaken: Shaken, line: Line, confirm: Callable[[], None] | None) -> None:
        self._udp = udp
        self._shaken = shaken
        self._line = line
        self._confirm = confirm
        self._confirm_at = 0.0
        self._read = 0
        self.lies = False
        """Show another nonce than was promised."""

    def step(self, until: float, *, voice_flows: bool = False) -> None:
        """Send what is due, and take what comes until then."""
        now = time.monotonic()
        if self._confirm is not None and not self._line.up and now >= self._confirm_at:
            self._confirm_at = now + CONFIRM_AGAIN_S
            self._confirm()
        self._line.work(now, voice_flows=voice_flows)
        while (came := self._udp.receive(until)) is not None:
            self._line.receive(came[0], time.monotonic())
            self._line.work(time.monotonic(), voice_flows=voice_flows)

    def _messages(self) -> list[Message]:
        """Those that have come since the last time."""
        new = self._line.heard[self._read :]
        self._read += len(new)
        return new

    def _wait_for(self, wanted: int, seconds: float) -> bytes:
        """The body of the first message of this type. Raises `Ended`."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self.step(time.monotonic() + FRAME_S)
            for kind, body in self._messages():
                if kind in (DECLINE, HANGUP):
                    raise Ended(body[0])
                if kind == RINGING:
                    tell("ringing", name=body[1:].decode())
                if kind == wanted:
                    return body
        raise Ended

    # ---- how it begins

    @property
    def _shown(self) -> bytes:
        """What this side shows as its nonce."""
        return os.urandom(NONCE_BYTES) if self.lies else self._shaken.own_nonce

    def invite(self, name: str) -> None:
        """Let it ring, and see each other's nonce. Raises `Ended` or `BrokenPromise`."""
        self._line.message(INVITE, bytes((AUDIO_FLAG,)) + name_body(name), time.monotonic())
        body = self._wait_for(ACCEPT, RING_S)
        nonce, flags, claimed = body[:NONCE_BYTES], body[NONCE_BYTES], body[NONCE_BYTES + 2 :]
        tell("accepted", name=claimed.decode(), flags=flags)
        self._check(nonce)
        self._line.message(REVEAL, self._shown, time.monotonic())
        self._line.work(time.monotonic(), voice_flows=False)  # ahead of all media, which would be dropped
        self._begin(nonce)

    def answer(self, name: str) -> None:
        """Wait until it rings, answer, and see each other's nonce. Raises `Ended` or `BrokenPromise`."""
        body = self._wait_for(INVITE, RING_S)
        tell("invited", name=body[2:].decode(), flags=body[0])
        self._line.message(RINGING, name_body(name), time.monotonic())
        accept = self._shown + bytes((AUDIO_FLAG,)) + name_body(name)
        self._line.message(ACCEPT, accept, time.monotonic())
        nonce = self._wait_for(REVEAL, REVEAL_TIMEOUT_S)
        self._check(nonce)
        self._begin(nonce)

    def _check(self, nonce: bytes) -> None:
        if len(nonce) != NONCE_BYTES or not self._shaken.fits(nonce):
            raise BrokenPromise

    def _begin(self, nonce: bytes) -> None:
        shaken = self._shaken
        assert shaken.keys is not None
        self._line.active = True
        tell(
            "connected",
            words=shaken.words(nonce),
            protocol=shaken.protocol,
            call=shaken.keys.handshake_hash[:4].hex(),
            remote=shaken.remote_static.hex(),
        )

    # ---- how it goes on

    def talk(self, frames: list[bytes], new_keys_at: int, make: Callable[[], NewKeys] | None) -> None:
        """Send all frames, one each 20 ms. Raises `Ended`."""
        line = self._line
        due = time.monotonic()
        for number, opus in enumerate(frames):
            if make is not None and number == new_keys_at:
                line.rekey(make())
            flows = line.may_send(time.monotonic())
            if flows:
                if number % REPORT_FRAMES == 0 or number in EARLY_REPORTS:
                    highest = struct.unpack_from(">I", line.sound[-1])[0] if line.sound else 0
                    line.report(highest, len(line.sound))
                line.voice(opus, time.monotonic())
            due += FRAME_S
            self.step(due, voice_flows=flows)
            for kind, body in self._messages():
                if kind == HANGUP:
                    raise Ended(body[0])

    def hang_up(self, *reason: int) -> bool:
        """Whether the goodbye arrived."""
        self._line.hang_up(time.monotonic(), *reason)
        deadline = time.monotonic() + LINGER_S
        while not self._line.settled and time.monotonic() < deadline:
            self.step(time.monotonic() + FRAME_S)
        return self._line.settled

    def linger(self) -> None:
        """After the other side's goodbye: acknowledge it."""
        deadline = time.monotonic() + LINGER_S
        while time.monotonic() < deadline:
            self.step(time.monotonic() + FRAME_S)


def newest_frames(payloads: list[bytes]) -> dict[int, bytes]:
    """The Opus frames of AUDIO payloads by number, copies included."""
    found: dict[int, bytes] = {}
    for payload in payloads:
        tick, _, count = struct.unpack_from(">IIB", payload)
        at = 9
        for _ in range(count):
            distance, length = struct.unpack_from(">BH", payload, at)
            found.setdefault(tick - distance, payload[at + 3 : at + 3 + length])
            at += 3 + length
        assert at == len(payload)
    return found


def common_options() -> argparse.ArgumentParser:
    """What both sides are told."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--name", default="carol")
    parser.add_argument("--static", help="own private key, in hexadecimal", required=True)
    parser.add_argument("--voice", type=Path, help="Opus frames, one a line in hexadecimal", required=True)
    parser.add_argument("--heard", type=Path, help="where to write those that come", required=True)
    parser.add_argument("--lie", action="store_true", help="show another nonce than was promised")
    return parser


def run(
    call: Call,
    line: Line,
    given: argparse.Namespace,
    begin: Callable[[str], None],
    *,
    new_keys_at: int = -1,
    make: Callable[[], NewKeys] | None = None,
) -> int:
    """The whole call, with its last words. Gives the exit status."""
    call.lies = given.lie
    frames = [bytes.fromhex(text) for text in given.voice.read_text().split()]
    arrived = False
    status = REFUSED
    reason = 0
    try:
        begin(given.name)
        status = 0
        call.talk(frames, new_keys_at, make)
        arrived = call.hang_up()
    except Ended as ended:
        reason = ended.reason
        if status:
            tell("refused", reason=reason)
    except BrokenPromise:
        status = BROKEN_PROMISE
        arrived = call.hang_up(FAILED)
    heard = newest_frames(line.sound)
    given.heard.write_text("".join(f"{heard[seq].hex()}\n" for seq in sorted(heard)))
    tell(
        "ended",
        stayed=not reason,
        reason=reason,
        arrived=arrived,
        epochs=line.rekeyed,
        packets=len(line.sound),
        round_trip_s=line.round_trip_s,
        imported=sorted(name for name in sys.modules if name.split(".")[0] in ("p2pcall", "nacl")),
    )
    if not arrived:
        call.linger()
    return status
