"""Two processes in a call, for tests that are about something else: `call = in_call(p2p)`.

Alice dials, bob listens; both write events. Unless told otherwise they talk over the loopback address, say nothing,
hear nothing and show nothing, and bob answers anyone. In namespaces bob is on side b and alice on side a.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tries
from harness import P2P, Event
from netns import NetnsPair

from p2pcall.store.contacts import Contacts
from p2pcall.store.home import Home
from p2pcall.store.identity import Identity, load_or_create

Start = Callable[..., P2P]

LOOPBACK = ("--bind", "127.0.0.1", "--port", "0")


def media(
    audio_in: str | Path = "silence",
    audio_out: str | Path = "none",
    video_in: str | Path = "none",
    video_out: str | Path = "none",
) -> list[str]:
    """The media options; what is not named is silent or off."""
    options = {"audio-in": audio_in, "audio-out": audio_out, "video-in": video_in, "video-out": video_out}
    return [part for name, value in options.items() for part in (f"--{name}", str(value))]


NO_MEDIA = tuple(media())
LISTEN = ("listen", *LOOPBACK, "--announce", "off")
DIAL = ("dial", *LOOPBACK)


@dataclass(frozen=True, slots=True)
class Call:
    """Both sides, with the event `connected` of each."""

    alice: P2P
    bob: P2P
    alice_connected: Event
    bob_connected: Event

    def side(self, name: str) -> P2P:
        """`alice` or `bob`."""
        return {"alice": self.alice, "bob": self.bob}[name]

    def other(self, name: str) -> P2P:
        """The one that is not `name`."""
        return {"alice": self.bob, "bob": self.alice}[name]


def identity(place: Path, name: str) -> Identity:
    """Who the process of this name is, whose homes are in `place`; made now if it has never run."""
    return load_or_create(Home.at(place / name), os.urandom)


def knows(place: Path, who: str, whom: str, public: bytes | None = None) -> None:
    """Let one have the other in the contacts, with the right key or with this one."""
    key = public or identity(place, whom).public
    Contacts(Home.at(place / who)).pin(whom, key, 1_700_000_000)


def listening(p2p: Start, *options: str, using: Sequence[str] = NO_MEDIA, **where: Any) -> tuple[P2P, str]:
    """A listener with events on the loopback address, called bob unless `name` says otherwise; and what to dial."""
    name = where.setdefault("name", "bob")
    bob = p2p(*LISTEN, "--json", "--name", name, *using, *options, **where)
    return bob, f"127.0.0.1:{bob.wait_event('listening')['port']}"


def dialling(p2p: Start, target: str, *options: str, using: Sequence[str] = NO_MEDIA, **where: Any) -> P2P:
    """Somebody, called alice unless `name` says otherwise, who calls on the loopback address and writes events."""
    name = where.setdefault("name", "alice")
    return p2p(*DIAL, target, "--json", "--name", name, *using, *options, **where)


def in_call(
    p2p: Start,
    *,
    listen: Sequence[str] = (),
    dial: Sequence[str] = (),
    listen_media: Sequence[str] = NO_MEDIA,
    dial_media: Sequence[str] = NO_MEDIA,
) -> Call:
    """A call that is up, on the loopback address."""
    bob, target = listening(p2p, "--answer", "anyone", *listen, using=listen_media)
    alice = dialling(p2p, target, *dial, using=dial_media)
    return Call(alice, bob, alice.wait_event("connected"), bob.wait_event("connected"))


def in_call_between(
    net: NetnsPair, p2p: Start, *, listen: Sequence[str] = (), dial: Sequence[str] = (), announce: str = "off"
) -> Call:
    """A call that is up, between two machines; media as the options say."""
    options = ("--json", "--answer", "anyone", "--announce", announce)
    bob = p2p("listen", "--name", "bob", *options, *listen, net=net, side="b", name="bob")
    bob.wait_event("listening")
    target = net.ipv4["b"] if announce == "off" else "bob"
    alice = p2p("dial", target, "--name", "alice", "--json", *dial, net=net, side="a", name="alice")
    return Call(alice, bob, alice.wait_event("connected"), bob.wait_event("connected"))


@contextmanager
def apart(p2p: Start, place: Path) -> Iterator[Start]:
    """Start processes as `p2p` does, but all named and with their homes in `place`, and end them with the block."""
    place.mkdir()
    with ExitStack() as running:

        def start(*argv: str, name: str, **where: Any) -> P2P:
            process = p2p(*argv, home=place / name, **where)
            running.callback(process.stop)
            return process

        yield start


def best_call(
    p2p: Start,
    tmp_path: Path,
    measure: Callable[[Start, Path], tries.Figures],
    judge: Callable[[tries.Figures], None],
    together: Callable[[list[tries.Figures]], tries.Figures] | None = None,
) -> tries.Figures:
    """`tries.best` of calls: each has processes of its own, which end with it, and a directory for its files."""

    def call(number: int) -> tries.Figures:
        place = tmp_path / f"try{number}"
        with apart(p2p, place) as start:
            return measure(start, place)

    return tries.best(call, judge, together=together)


def seconds_pass(process: P2P, seconds: int) -> None:
    """Wait for so many of its statistics, which it tells once a second."""
    for _ in range(seconds):
        process.wait_event("stats")
