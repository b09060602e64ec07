"""There is no telemetry, no update check and no server: nothing leaves the machine but what was asked for.

Once on a machine with no network but loopback, whose packets the kernel counts; and once with a cable, on which tshark
sees every frame. Both have a way to everywhere, so that a question to a name server, or to any other, would be seen.
"""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from capture import Capture
from netns import NetnsPair, missing
from onlookers import LOOPBACK, Lonely, foreign, packets_in
from pairs import NO_MEDIA, Start, knows

from p2pcall.cli.app import app

pytestmark = pytest.mark.netns

CALL_PORT, OTHER_PORT = 51729, 51730
ELSEWHERE = "198.51.100.7"
QUIET = (
    ("",),
    ("--version",),
    ("--help",),
    ("id", "--json"),
    ("id", "backup", "--new-passphrase-file", "{secret}", "{folder}/backup"),
    ("id", "restore", "--force", "--passphrase-file", "{secret}", "{folder}/backup"),
    ("id", "passphrase", "--passphrase-file", "{secret}", "--new-passphrase-file", "{secret}"),
    ("id", "passphrase", "--remove", "--passphrase-file", "{secret}"),
    ("id", "rotate"),
    ("devices", "--json"),
    ("play",),
    ("contacts", "list"),
    ("contacts", "show", "bob"),
    ("contacts", "add", "carol", "{uri}"),
    ("contacts", "verify", "bob"),
    ("contacts", "rename", "carol", "dora"),
    ("contacts", "require-code", "bob"),
    ("contacts", "safeword", "--word-file", "{secret}", "bob"),
    ("contacts", "allow", "dora", "sound"),
    ("contacts", "forbid", "dora", "ring"),
    ("contacts", "export", "--new-passphrase-file", "{secret}", "{folder}/contacts"),
    ("contacts", "import", "--import-passphrase-file", "{secret}", "{folder}/contacts"),
    ("contacts", "requests"),
    ("contacts", "accept", "1"),
    ("contacts", "decline", "--all"),
    ("contacts", "block", "dora"),
    ("contacts", "unblock", "dora"),
    ("contacts", "remove", "dora"),
    ("history", "list"),
    ("history", "export"),
    ("history", "erase", "--yes"),
    ("history", "keep", "7"),
    ("privacy", "settings"),
    ("privacy", "settings", "announce", "off"),
    ("privacy", "bundle", "--yes", "{folder}/bundle.json"),
    ("privacy",),
    ("privacy", "export", "{folder}/export.json"),
    ("privacy", "erase", "--contact", "bob", "--yes"),
    ("privacy", "erase", "--all", "--yes"),
)
"""Commands that ask for nothing of the network."""
TALKING = {"listen", "dial", "peers", "invite", "join", "demo"}
REFUSED = {"contacts verify": 2, "contacts accept": 3}
"""The first needs a terminal, the second a stranger who has rung; both say so."""


@pytest.fixture
def lonely() -> Iterator[Lonely]:
    if reason := missing():
        pytest.skip(reason)
    with Lonely() as net:
        yield net


def commands() -> set[str]:
    """The words of every command."""
    found = set()

    def walk(command: Any, path: tuple[str, ...]) -> None:
        below = getattr(command, "commands", None)
        if below is None or (path and command.invoke_without_command):
            found.add(" ".join(path))
        for name, sub in (below or {}).items():
            walk(sub, (*path, name))

    walk(typer.main.get_command(app), ())
    return found


def name_of(argv: tuple[str, ...]) -> str:
    """The command that is meant."""
    words = list(itertools.takewhile(str.isalpha, (word.replace("-", "") for word in argv[:2])))
    there = commands()
    return next((name for name in (" ".join(argv[:2]), *argv[:1]) if name in there), " ".join(words))


def quiet_ones(folder: Path) -> Iterator[list[str]]:
    """Each quiet command, as it is typed."""
    secret = folder / "secret"
    secret.write_text("a secret of several words\n")
    secret.chmod(0o600)
    uri = "p2pcall:id/1/" + "A" * 51 + "Q"
    for argv in QUIET:
        yield [word.format(secret=secret, folder=folder, uri=uri) for word in argv if word]


def test_every_command_is_looked_at() -> None:
    quiet = {name_of(argv) for argv in QUIET[3:]}
    assert quiet | TALKING == commands()
    assert not quiet & TALKING


def test_no_packet_leaves_by_a_command_that_asks_for_nothing(
    lonely: Lonely, p2p: Start, tmp_path: Path
) -> None:
    knows(tmp_path, "alice", "bob")
    before = lonely.packets()
    lonely.output("a", ["bash", "-c", f"echo > /dev/udp/{ELSEWHERE}/53"])
    assert lonely.packets() > before, "what leaves is counted"
    before = lonely.packets()
    for argv in quiet_ones(tmp_path):
        process = p2p(*argv, net=lonely, name="alice")
        assert process.wait_exit() == REFUSED.get(" ".join(argv[:2]), 0), process.report()
        assert lonely.packets() == before, argv


def test_on_a_machine_alone_a_call_sends_to_the_other_side_and_nowhere_else(
    lonely: Lonely, p2p: Start
) -> None:
    capture = Capture(p2p, lonely, "a", LOOPBACK)
    here = ("--bind", "127.0.0.1", "--json", *NO_MEDIA)
    bob = p2p("listen", *here, "--port", str(CALL_PORT), "--answer", "anyone", "--once", net=lonely)
    bob.wait_event("listening", announce="public")
    dial = ("dial", f"127.0.0.1:{CALL_PORT}", *here, "--port", str(OTHER_PORT), "--max-duration", "1")
    alice = p2p(*dial, net=lonely)
    assert (alice.wait_exit(), bob.wait_exit()) == (0, 0)
    carol = p2p("invite", *here[:3], "--port", str(CALL_PORT), net=lonely)
    code = carol.wait_event("invite")["code"]
    joined = p2p("join", code, f"127.0.0.1:{CALL_PORT}", *here[:3], net=lonely)
    assert (joined.wait_exit(), carol.wait_exit()) == (0, 0)
    assert p2p("peers", "--json", net=lonely).wait_exit() == 0
    frames = probe(lonely, capture)
    assert foreign(frames, {"127.0.0.1"}, {CALL_PORT}) == planted(frames)
    assert len(frames) > 100, "the call was seen"


def test_the_demo_sends_to_itself_and_nowhere_else(lonely: Lonely, p2p: Start) -> None:
    capture = Capture(p2p, lonely, "a", LOOPBACK)
    demo = p2p("demo", "--seconds", "1", "--video-out", "none", "--json", net=lonely)
    assert demo.wait_exit() == 0, demo.report()
    frames = probe(lonely, capture)
    seen = [packet for packet in packets_in(frames) if packet.target != ELSEWHERE]
    ports = {port for one in seen if one.protocol == 17 for port in (one.source_port, one.target_port)}
    assert foreign(frames, {"127.0.0.1"}, ports - {53}) == planted(frames)


def test_on_a_cable_nothing_is_asked_of_a_name_server_and_nobody_but_the_other_side_gets_a_packet(
    netns_pair: NetnsPair, p2p: Start, tmp_path: Path
) -> None:
    net = netns_pair
    for side, other in (("a", "b"), ("b", "a")):
        net.output(side, ["ip", "route", "add", "default", "via", net.ipv4[other]])
        net.output(side, ["ip", "-6", "route", "add", "default", "via", f"fe80::{other}", "dev", "eth0"])
    ours = {*net.ipv4.values(), "fe80::a", "fe80::b"}
    knows(tmp_path, "alice", "bob")
    capture, *within = Capture(p2p, net, "b"), *(Capture(p2p, net, side, LOOPBACK) for side in ("a", "b"))
    listen = ("listen", "--name", "bob", "--answer", "anyone", "--once", "--json", *NO_MEDIA)
    bob = p2p(*listen, net=net, side="b", name="bob")
    bob.wait_event("listening", announce="public")
    p2p("peers", "--watch", "--json", net=net, side="a", name="alice").wait_event("peer-found", name="bob")
    dial = ("dial", "bob", "--max-duration", "1", "--port", str(OTHER_PORT), "--json", *NO_MEDIA)
    alice = p2p(*dial, net=net, side="a", name="alice")
    assert (alice.wait_exit(), bob.wait_exit()) == (0, 0), alice.report()
    inviter = p2p("invite", "--json", net=net, side="b", name="bob")
    code = inviter.wait_event("invite")["code"]
    joiner = p2p("join", code, "--json", net=net, side="a", name="carol")
    assert (joiner.wait_exit(), inviter.wait_exit()) == (0, 0), joiner.report()
    for argv in (["privacy", "settings"], ["privacy", "bundle"], ["history", "list"], ["devices"]):
        assert p2p(*argv, net=net, side="a", name="alice").wait_exit() == 0
    frames = probe(net, capture)
    assert foreign(frames, ours, {CALL_PORT}) == planted(frames)
    for inner in within:
        assert foreign(inner.frames, ours, {CALL_PORT}) == [], "nor by another way"


def probe(net: NetnsPair, capture: Capture) -> list[bytes]:
    """Ask a name server elsewhere, as anything that looked for one would. All that has passed until that was seen."""
    net.output("a", ["bash", "-c", f"echo > /dev/udp/{ELSEWHERE}/53"])
    capture.wait(lambda seen: any(one.target == (ELSEWHERE, 53) for one in seen), "a question elsewhere")
    return list(capture.frames)


def planted(frames: list[bytes]) -> list[Any]:
    """What `probe` has sent, and an answer to it; which shows that the search finds what is there."""
    return [packet for packet in packets_in(frames) if ELSEWHERE in (packet.source, packet.target)]
