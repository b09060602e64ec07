"""What one side says it is called is what the other side dials: real pairs on a cable, and contacts who are away."""

import os
import shlex
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from capture import Capture
from harness import P2P
from netns import NetnsPair
from pairs import NO_MEDIA, Start, identity, knows

pytestmark = pytest.mark.netns

NIGHTLY = os.environ.get("P2PCALL_HYPOTHESIS") == "nightly"
PERSIAN = "\u0639\u0644\u06cc\u200c\u0631\u0636\u0627"


@pytest.mark.parametrize("name", [*(["jan.smit"] if NIGHTLY else []), "Dr. B. Smith", PERSIAN])
def test_the_name_that_is_announced_is_the_name_that_is_dialled(
    netns_pair: NetnsPair, p2p: Start, tmp_path: Path, name: str
) -> None:
    listen = ["listen", "--name", name, "--answer", "anyone", "--json", *NO_MEDIA]
    bob = p2p(*listen, net=netns_pair, side="b", name="bob")
    bob.wait_event("listening", name=name)
    watch = p2p("peers", "--watch", "--json", net=netns_pair, side="a", name="alice")
    watch.wait_event("peer-found", name=name, contact=None)
    for known in ("new", "contact"):
        dial = ["dial", name, "--json", "--max-duration", "0.3", *NO_MEDIA]
        alice = p2p(*dial, net=netns_pair, side="a", name="alice")
        told = alice.wait_event("connected", name=name, known=known)
        assert told["fingerprint"] == identity(tmp_path, "bob").fingerprint
        assert alice.wait_exit() == 0
    again = p2p("peers", "--json", net=netns_pair, side="a", name="alice")
    assert again.wait_event("peer-found", name=name, contact=name)


def noticing(p2p: Start, *argv: str, **where: Any) -> P2P:
    """One who finds out that the name is taken. mDNS answers nobody twice within a second: it may be missed once."""
    for name in ("second", "third", "fourth"):
        process = p2p(*argv, name=name, **where)
        with suppress(AssertionError):
            assert "jan.smit-2" in process.wait_event("warning", timeout=8, slug="name-taken")["text"]
            return process
        process.stop()
    raise AssertionError(f"nobody noticed that the name is taken\n{process.report()}")


def test_a_second_one_of_that_name_is_dialled_by_its_number(netns_pair: NetnsPair, p2p: Start) -> None:
    options = ["--name", "jan.smit", "--answer", "anyone", "--json", *NO_MEDIA]
    first = p2p("listen", *options, net=netns_pair, side="a", name="first")
    first.wait_event("listening")
    watch = p2p("peers", "--watch", "--json", net=netns_pair, side="b", name="watch")
    watch.wait_event("peer-found", name="jan.smit")
    second = noticing(p2p, "listen", *options, net=netns_pair, side="b")
    watch.wait_event("peer-found", name="jan.smit-2")  # mDNS answers nobody twice within a second
    dial = ["dial", "jan.smit-2", "--port", "0", "--json", "--max-duration", "0.3", *NO_MEDIA]
    alice = p2p(*dial, net=netns_pair, side="a", name="alice")
    assert alice.wait_exit() == 0
    second.wait_event("connected")
    assert first.all_events("connected") == []


def test_a_name_that_is_too_long_for_the_network_is_told_as_it_is_found(
    netns_pair: NetnsPair, p2p: Start
) -> None:
    listen = ["listen", "--name", "x" * 64, "--answer", "anyone", "--json", *NO_MEDIA]
    bob = p2p(*listen, net=netns_pair, side="b", name="bob")
    told = bob.wait_event("warning", slug="name-changed")["text"].rpartition(" ")[2]
    watch = p2p("peers", "--watch", "--json", net=netns_pair, side="a", name="watch")
    watch.wait_event("peer-found", name=told)
    dial = ["dial", told, "--json", "--max-duration", "0.3", *NO_MEDIA]
    assert p2p(*dial, net=netns_pair, side="a", name="alice").wait_exit() == 0


def test_avahi_shows_a_name_with_a_dot(netns_pair: NetnsPair, p2p: Start, tmp_path: Path) -> None:
    listen = ["listen", "--name", "jan.smit", "--json", *NO_MEDIA]
    bob = p2p(*listen, net=netns_pair, side="b", name="bob")
    bob.wait_event("listening")
    with netns_pair.avahi("a", tmp_path / "avahi") as environ:
        watch = p2p("peers", "--watch", "--json", net=netns_pair, side="a", name="watch")
        watch.wait_event("peer-found", name="jan.smit")
        browse = ["avahi-browse", "-prt", "_p2pcall._udp"]
        seen = netns_pair.output("a", browse, env=environ)
    label = "jan" + "".join(f"\\{byte:03}" for byte in "\u2024".encode()) + "smit"
    assert {line.split(";")[3] for line in seen.splitlines() if line.startswith("=")} == {label}


def test_a_contact_who_is_not_there_is_told_with_what_can_be_done(
    netns_pair: NetnsPair, p2p: Start, tmp_path: Path
) -> None:
    knows(tmp_path, "alice", "mum", bytes(range(32)))
    alice = p2p("dial", "mum", *NO_MEDIA, net=netns_pair, side="a", name="alice")
    assert alice.wait_exit() == 3
    waiting, error, hint = alice.stderr_text.splitlines()
    assert waiting == "looking for mum on this network ..."
    assert error == "p2pcall: error: mum is a contact, but is not listening on this network"
    assert hint.startswith("p2pcall: hint: p2pcall peers, to see who is there; p2pcall dial mum@HOST")
    for quiet in ("--quiet", "--json"):
        alice = p2p("dial", "mum", quiet, *NO_MEDIA, net=netns_pair, side="a", name="alice")
        assert alice.wait_exit() == 3
        assert alice.stderr_text.splitlines() == [error, hint]


def test_a_contacts_name_is_neither_asked_for_on_the_lan_nor_by_dns(
    netns_pair: NetnsPair, p2p: Start, tmp_path: Path
) -> None:
    """Everything that leaves this machine is looked through: who is dialled by name, is there, and is not there.

    A third name, which is no contact's, is asked for: the eye that sees nothing of the others is open. Questions to
    a name server would cross the cable, too.
    """
    netns_pair.output("a", ["ip", "route", "add", "default", "via", netns_pair.ipv4["b"]])
    sent_by = netns_pair.output("a", ["cat", "/sys/class/net/eth0/address"]).strip()
    listen = ["listen", "--name", "hilda", "--answer", "anyone", "--json", *NO_MEDIA]
    hilda = p2p(*listen, net=netns_pair, side="b", name="hilda")
    hilda.wait_event("listening")
    watch = p2p("peers", "--watch", "--json", net=netns_pair, side="b", name="watch")
    watch.wait_event("peer-found", name="hilda")
    for name in ("hilda", "gertrud", "host.example"):
        knows(tmp_path, "alice", name, None if name == "hilda" else name.encode().ljust(32))
    capture = Capture(p2p, netns_pair, "a")

    def told(name: str, exit_code: int) -> int:
        """How many frames with the name have left, when somebody of that name was dialled."""
        dial = ["dial", name, "--json", "--max-duration", "0.3", *NO_MEDIA]
        assert p2p(*dial, net=netns_pair, side="a", name="alice").wait_exit() == exit_code
        seen = len(capture.frames)
        netns_pair.output("a", ["bash", "-c", f"printf last > /dev/udp/{netns_pair.ipv4['b']}/9"])
        capture.wait(lambda _: any(b"last" in frame for frame in capture.frames[seen:]), "all frames")
        ours = [frame for frame in capture.frames if frame[6:12].hex(":") == sent_by]
        return sum(name.partition(".")[0].encode() in frame for frame in ours)

    assert told("hilda", 0) == 0
    assert told("gertrud", 3) == 0
    assert told("host.example", 3) == 0
    assert told("friedrich", 3) > 0
    assert hilda.wait_event("connected")


def test_a_changed_key_is_told_with_both_and_renaming_makes_room(
    netns_pair: NetnsPair, p2p: Start, tmp_path: Path
) -> None:
    knows(tmp_path, "alice", "jan.smit", bytes(range(32)))
    listen = ["listen", "--name", "jan.smit", "--answer", "anyone", "--json", *NO_MEDIA]
    other = p2p(*listen, net=netns_pair, side="b", name="other")
    other.wait_event("listening")
    dial = ["dial", "jan.smit", "--json", "--max-duration", "0.3", *NO_MEDIA]
    alice = p2p(*dial, net=netns_pair, side="a", name="alice")
    error = alice.wait_event("error", slug="key-changed", exit=5)
    assert f"shown was {identity(tmp_path, 'other').fingerprint}" in error["text"]
    command = shlex.split(error["hint"].partition("of one name: ")[2].partition(";")[0])
    assert command == ["p2pcall", "contacts", "rename", "jan.smit", "NEW"]
    assert p2p(*command[1:-1], "Jan from work", name="alice").wait_exit() == 0
    alice = p2p(*dial, net=netns_pair, side="a", name="alice")
    assert alice.wait_exit() == 0
    assert alice.wait_event("connected")["known"] == "new"
