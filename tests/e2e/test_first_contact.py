"""First contact by a code with real processes: invite, join, and everything that goes wrong between them."""

import json
import os
import re
import signal
import socket
import sys
from pathlib import Path

import pytest
from capture import Capture
from harness import P2P
from netns import NetnsPair
from pairs import Start, dialling, identity, knows, listening

from p2pcall.net.address import DEFAULT_PORT
from p2pcall.pairing.code import Code, parse_code, parse_invitation
from p2pcall.pairing.datagrams import Offer, Proof, Query, Refusal, parse_pairing
from p2pcall.pairing.joiner import Joiner
from p2pcall.pairing.outcome import Met
from p2pcall.proto.handshake.noise import KeyPair
from p2pcall.proto.handshake.safety_number import identity_uri
from p2pcall.proto.handshake.sas import EVEN
from p2pcall.store.contacts import Contacts
from p2pcall.store.home import Home

HERE = ("--bind", "127.0.0.1")
SOON_OVER = "from p2pcall.pairing import inviter; inviter.INVITE_S = 1.0; from p2pcall.cli import run; run()"
"""An invite whose ten minutes are a second."""
SOON_GIVEN_UP = (
    "from p2pcall.pairing import joiner; joiner.QUERY_TIMEOUT_S = 1.0; from p2pcall.cli import run; run()"
)


def inviting(p2p: Start, *options: str, **where: object) -> tuple[P2P, str, str]:
    """Alice invites on the loopback address: the process, the code, and where it is."""
    alice = p2p("invite", "--json", "--name", "alice", *HERE, "--port", "0", *options, name="alice", **where)
    told = alice.wait_event("invite")
    return alice, told["code"], f"127.0.0.1:{told['port']}"


def joining(p2p: Start, *argv: str, name: str = "bob", **where: object) -> P2P:
    return p2p("join", *argv, *HERE, "--json", "--name", name, name=name, **where)


def kept(place: Path, who: str) -> dict[str, tuple[bytes, bool]]:
    """The contacts of somebody: key, and whether verified."""
    return {one.name: (one.public, one.verified) for one in Contacts(Home.at(place / who)).all()}


def wrong(code: str) -> str:
    """The code with another last word."""
    right = parse_code(code)
    other = next(word.lower() for word in EVEN if word.lower() != right.words[-1])
    return Code(right.number, (*right.words[:-1], other)).text


def error_of(process: P2P) -> dict[str, object]:
    (error,) = process.all_events("error")
    return error


def test_invite_and_join_leave_a_verified_contact_on_both_sides_and_a_call_can_follow(
    p2p: Start, tmp_path: Path
) -> None:
    alice, code, where = inviting(p2p)
    bob = joining(p2p, code, where)
    assert bob.wait_exit() == 0, bob.report()
    assert alice.wait_exit() == 0, alice.report()
    keys = {name: identity(tmp_path, name) for name in ("alice", "bob")}
    for process, them in ((alice, "bob"), (bob, "alice")):
        paired = process.wait_event("paired")
        assert paired["name"] == paired["claimed"] == them
        assert (paired["fingerprint"], paired["known"]) == (keys[them].fingerprint, "verified")
        assert process.all_events("warning") == []
    assert kept(tmp_path, "alice") == {"bob": (keys["bob"].public, True)}
    assert kept(tmp_path, "bob") == {"alice": (keys["alice"].public, True)}
    bob, target = listening(p2p, "--answer", "verified", "--reach", "contacts", "--once")
    alice = dialling(p2p, f"bob@{target}", "--max-duration", "1")
    assert alice.wait_event("connected")["known"] == "verified"
    assert bob.wait_event("connected")["known"] == "verified"
    assert alice.wait_exit() == bob.wait_exit() == 0


def test_a_wrong_code_burns_it_both_sides_say_so_and_nobody_is_kept(p2p: Start, tmp_path: Path) -> None:
    alice, code, where = inviting(p2p)
    bob = joining(p2p, wrong(code), where)
    assert bob.wait_exit() == alice.wait_exit() == 5
    for process in (alice, bob):
        assert error_of(process)["slug"] == "wrong-code"
        assert "works no more" in process.stderr_text
    assert kept(tmp_path, "alice") == kept(tmp_path, "bob") == {}
    late = joining(p2p, code, where, name="late")
    assert late.wait_exit() == 3
    assert error_of(late)["slug"] == "no-such-invite"


def test_a_code_that_is_over_is_told_on_both_sides(p2p: Start) -> None:
    alice, code, where = inviting(p2p, program=[sys.executable, "-c", SOON_OVER])
    assert alice.wait_exit() == 4
    assert error_of(alice)["slug"] == "invite-expired"
    bob = joining(p2p, code, where)
    assert bob.wait_exit() == 3
    assert error_of(bob)["slug"] == "no-such-invite"


def test_the_second_joiner_is_told_what_is_told_of_an_unknown_code(p2p: Start, tmp_path: Path) -> None:
    alice, code, where = inviting(p2p)
    number = parse_code(code).number % 999 + 1
    unknown = joining(p2p, re.sub(r"^\d+", str(number), code), where, name="unknown")
    assert unknown.wait_exit() == 3, "and the invite is still good"
    bob = joining(p2p, code, where)
    assert bob.wait_exit() == alice.wait_exit() == 0
    second = joining(p2p, code, where, name="second")
    assert second.wait_exit() == 3
    told = [
        [re.sub(r"\b\d+\b", "N", str(error_of(process)[part])) for part in ("slug", "text", "hint")]
        for process in (unknown, second)
    ]
    assert told[0] == told[1]
    assert list(kept(tmp_path, "alice")) == ["bob"]


class Attacker:
    """Somebody with a socket and the protocol, who does not know the code."""

    def __init__(self, where: str) -> None:
        host, _, port = where.partition(":")
        self.there = host, int(port)
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind(("127.0.0.1", 0))

    def ask(self, data: bytes, patience_s: float) -> bytes | None:
        """Send, and wait for an answer."""
        self.sock.settimeout(patience_s)
        self.sock.sendto(data, self.there)
        try:
            return self.sock.recv(2048)
        except TimeoutError:
            return None


def test_a_hostile_joiner_gets_one_guess_and_learns_nothing_before_it(p2p: Start, tmp_path: Path) -> None:
    alice, code, where = inviting(p2p)
    eve = Attacker(where)
    own = KeyPair.from_private(bytes(range(32)))
    guess = Joiner(parse_code(wrong(code)), own, "Eve", [eve.there], os.urandom, 0.0)
    (query,) = [data for data, _ in guess.datagrams_to_send(0.0)]
    offers = {eve.ask(query, 10.0) for _ in range(200)}
    (offer,) = offers
    assert offer is not None
    for junk in (b"", b"\x10", query[:-1], os.urandom(400), bytes([21, 1]) + bytes(50)):
        eve.sock.sendto(junk, eve.there)
    asked, offered = parse_pairing(query), parse_pairing(offer)
    assert isinstance(asked, Query)
    assert isinstance(offered, Offer)
    guess.receive_datagram(offer, eve.there, 0.0)
    (proof,) = [data for data, _ in guess.datagrams_to_send(0.0)]
    refusal = eve.ask(proof, 10.0)
    assert refusal == Refusal(asked.token).pack(), "nothing but that it was wrong"
    told = parse_pairing(proof)
    assert isinstance(told, Proof)
    again = Proof(told.number, told.token, told.element, told.ephemeral, bytes(32), told.sealed)
    assert eve.ask(again.pack(), 0.3) is None, "there is no second guess"
    assert alice.wait_exit() == 5
    assert kept(tmp_path, "alice") == {}
    eve.sock.close()


def test_a_hostile_name_is_filtered_before_it_is_shown_or_kept(p2p: Start, tmp_path: Path) -> None:
    alice, code, where = inviting(p2p)
    eve = Attacker(where)
    name = "\x1b[2J\u202elive \x07" + "x" * 40
    joiner = Joiner(parse_code(code), KeyPair.from_private(bytes([5]) * 32), name, [()], os.urandom, 0.0)
    (query,) = [data for data, _ in joiner.datagrams_to_send(0.0)]
    joiner.receive_datagram(eve.ask(query, 10.0) or b"", (), 0.0)
    (proof,) = [data for data, _ in joiner.datagrams_to_send(0.0)]
    joiner.receive_datagram(eve.ask(proof, 10.0) or b"", (), 0.0)
    assert isinstance(joiner.next_event(), Met)
    paired = alice.wait_event("paired")
    assert all(text.isprintable() for text in (paired["name"], paired["claimed"], *kept(tmp_path, "alice")))
    eve.sock.close()
    assert alice.wait_exit() == 0, "kept, and who was not heard again is told"
    assert alice.wait_event("warning")["slug"] == "unconfirmed"


def test_two_who_join_at_once_are_not_both_kept(p2p: Start, tmp_path: Path) -> None:
    alice, code, where = inviting(p2p)
    both = [joining(p2p, code, where, name=name) for name in ("bob", "carol")]
    exits = sorted(process.wait_exit() for process in both)
    assert alice.wait_exit() == 0
    assert exits[0] == 0
    assert exits[1] in (3, 7)
    assert len(kept(tmp_path, "alice")) == 1
    assert len(kept(tmp_path, "bob")) + len(kept(tmp_path, "carol")) == 1


def test_a_script_may_take_the_code_and_stop_reading(p2p: Start, tmp_path: Path) -> None:
    command = f"{sys.executable} -m p2pcall invite --json {' '.join(HERE)} --port 0 | head -n 1"
    alice = p2p(command, name="alice", program=["bash", "-o", "pipefail", "-c"])
    alice.wait_until(lambda: b"}" in alice.stdout, "code")
    told = json.loads(alice.stdout)
    bob = joining(p2p, told["code"], f"127.0.0.1:{told['port']}")
    assert bob.wait_exit() == alice.wait_exit() == 0
    assert len(kept(tmp_path, "alice")) == 1


def test_beside_a_listener_an_invite_takes_another_port_and_tells_it(p2p: Start) -> None:
    alice = p2p("invite", "--json", *HERE, name="alice")
    port = alice.wait_event("invite")["port"]
    beside = p2p("invite", "--json", *HERE, name="alice")
    assert beside.wait_event("invite")["port"] not in (port, DEFAULT_PORT)
    refused = p2p("invite", "--json", *HERE, "--port", str(port), name="alice")
    assert refused.wait_exit() == 2


def test_a_proof_cut_short_leaves_the_code_good(p2p: Start) -> None:
    alice, code, where = inviting(p2p)
    quitter = Attacker(where)
    joiner = Joiner(parse_code(code), KeyPair.from_private(bytes([5]) * 32), "x", [()], os.urandom, 0.0)
    (query,) = [data for data, _ in joiner.datagrams_to_send(0.0)]
    assert quitter.ask(query, 10.0) is not None
    quitter.sock.close()
    bob = joining(p2p, code, where)
    assert bob.wait_exit() == alice.wait_exit() == 0


def test_the_uri_alone_is_enough_and_checks_the_key(p2p: Start, tmp_path: Path) -> None:
    alice = p2p("invite", "--json", *HERE, "--port", "0", name="alice")
    uri = alice.wait_event("invite")["uri"]
    assert parse_invitation(uri).public == identity(tmp_path, "alice").public
    bob = joining(p2p, uri.upper())
    assert bob.wait_exit() == alice.wait_exit() == 0
    alice = p2p("invite", "--json", *HERE, "--port", "0", name="alice")
    uri = alice.wait_event("invite")["uri"]
    key = identity_uri(identity(tmp_path, "eve").public).rpartition("/")[2]
    parts = uri.split("/")
    carol = joining(p2p, "/".join([*parts[:2], key, *parts[3:]]), name="carol")
    assert carol.wait_exit() == 5
    assert error_of(carol)["slug"] == "other-key"
    assert kept(tmp_path, "carol") == {}


def test_names_are_the_users_own_and_a_name_that_is_taken_gets_a_number(p2p: Start, tmp_path: Path) -> None:
    knows(tmp_path, "bob", "alice", bytes([7]) * 32)
    alice, code, where = inviting(p2p, "--as", "my brother")
    bob = joining(p2p, code, where)
    assert bob.wait_exit() == alice.wait_exit() == 0
    assert kept(tmp_path, "alice") == {"my brother": (identity(tmp_path, "bob").public, True)}
    assert kept(tmp_path, "bob")["alice-2"] == (identity(tmp_path, "alice").public, True)
    assert kept(tmp_path, "bob")["alice"] == (bytes([7]) * 32, False)
    assert bob.wait_event("paired")["name"] == "alice-2"


def test_a_contact_keeps_its_name_and_is_verified_from_then_on(p2p: Start, tmp_path: Path) -> None:
    knows(tmp_path, "bob", "sis", identity(tmp_path, "alice").public)
    alice, code, where = inviting(p2p)
    bob = joining(p2p, code, where, "--as", "somebody")
    assert bob.wait_exit() == alice.wait_exit() == 0
    assert kept(tmp_path, "bob") == {"sis": (identity(tmp_path, "alice").public, True)}


def test_a_name_of_ones_own_that_is_taken_is_refused_before_there_is_a_code(
    p2p: Start, tmp_path: Path
) -> None:
    knows(tmp_path, "alice", "bob", bytes([7]) * 32)
    for argv in (("invite",), ("join", "7-crossover-clockwork", "127.0.0.1:9")):
        alice = p2p(*argv, "--json", "--as", "Bob", *HERE, name="alice")
        assert alice.wait_exit() == 2
        assert error_of(alice)["slug"] == "name-taken"
        assert alice.all_events("invite") == []


def test_who_is_blocked_stays_blocked(p2p: Start, tmp_path: Path) -> None:
    contacts = Contacts(Home.at(tmp_path / "alice"))
    contacts.block(identity(tmp_path, "bob").fingerprint, 0.0)
    alice, code, where = inviting(p2p)
    bob = joining(p2p, code, where)
    assert bob.wait_exit() == alice.wait_exit() == 0
    assert alice.wait_event("warning")["slug"] == "blocked-key"
    assert identity(tmp_path, "bob").fingerprint in Contacts(Home.at(tmp_path / "alice")).blocked()


def test_ones_own_invite_makes_no_contact(p2p: Start, tmp_path: Path) -> None:
    alice, code, where = inviting(p2p)
    again = joining(p2p, code, where, name="alice")
    assert again.wait_exit() == alice.wait_exit() == 5
    assert error_of(again)["slug"] == error_of(alice)["slug"] == "own-key"
    assert kept(tmp_path, "alice") == {}


def test_ctrl_c_ends_each_phase_with_130_and_keeps_nobody(p2p: Start, tmp_path: Path) -> None:
    alice, code, _ = inviting(p2p)
    alice.signal(signal.SIGINT)
    assert alice.wait_exit() == 130
    silent = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    silent.bind(("127.0.0.1", 0))
    bob = joining(p2p, code, f"127.0.0.1:{silent.getsockname()[1]}")
    silent.settimeout(30.0)
    silent.recv(2048)
    bob.signal(signal.SIGINT)
    assert bob.wait_exit() == 130
    silent.close()
    assert kept(tmp_path, "alice") == kept(tmp_path, "bob") == {}


def test_a_damaged_home_is_told_before_there_is_a_code(p2p: Start, tmp_path: Path) -> None:
    (tmp_path / "alice").mkdir(mode=0o700)
    (tmp_path / "alice" / "contacts.json").write_text("{")
    alice = p2p("invite", "--json", *HERE, "--port", "0", name="alice")
    assert alice.wait_exit() == 8
    assert alice.all_events("invite") == []


def test_a_port_for_calls_does_not_answer_a_joiner(p2p: Start) -> None:
    _, target = listening(p2p)
    bob = joining(
        p2p, "7-crossover-clockwork", target, name="carol", program=[sys.executable, "-c", SOON_GIVEN_UP]
    )
    assert bob.wait_exit() == 3


def test_no_media_library_is_loaded(p2p: Start, tmp_path: Path) -> None:
    show = "import sys\nfrom p2pcall.cli import run\ntry:\n    run()\nfinally:\n    print(*sys.modules)"
    _, code, where = inviting(p2p)
    bob = p2p("join", code, where, *HERE, name="bob", program=[sys.executable, "-c", show])
    assert bob.wait_exit() == 0
    loaded = set(bob.stdout.decode().split())
    assert "spake2" in loaded
    assert not loaded & {"av", "numpy", "sounddevice", "zeroconf", "sdl2", "rich", "segno"}


@pytest.mark.terminal
def test_a_person_reads_the_code_and_the_other_types_it_with_completion(p2p: Start, tmp_path: Path) -> None:
    alice = p2p("invite", "--name", "alice", *HERE, "--port", "0", name="alice", terminal=(100, 60))
    alice.wait_screen("the code is", "p2pcall join", "█")
    code = re.search(r"the code is (\S+);", alice.screen_text)
    port = re.search(r"127\.0\.0\.1:(\d+)", alice.screen_text)
    assert code is not None
    assert port is not None
    bob = p2p("join", "--name", "bob", *HERE, name="bob", terminal=(80, 24))
    bob.wait_screen("code")
    number, first, second = code[1].split("-")
    bob.send(f"{number} {first} nothing\n")
    bob.wait_screen("that is no code: word 2")
    bob.send("\x03")
    assert bob.wait_exit() == 130
    bob = p2p("join", "--name", "bob", *HERE, name="bob", terminal=(80, 24))
    bob.wait_screen("code")
    bob.send(f"{number}-{first[:-1]}\t-{second[:-1]}\t")
    bob.wait_screen(f"{number}-{first}-{second}")
    bob.send("\n")
    assert bob.wait_exit() == alice.wait_exit() == 0
    assert "alice is a verified contact from now on: p2pcall dial alice" in bob.screen_text
    assert "bob is a verified contact from now on: p2pcall dial bob" in alice.screen_text


@pytest.mark.netns
def test_on_one_network_the_code_alone_is_enough_and_the_network_learns_its_number_alone(
    netns_pair: NetnsPair, p2p: Start, tmp_path: Path
) -> None:
    watcher = Capture(p2p, netns_pair, "b")
    alice = p2p("invite", "--json", "--name", "alice", name="alice", net=netns_pair, side="a")
    code = alice.wait_event("invite")["code"]
    bob = p2p("join", code, "--json", "--name", "bob", name="bob", net=netns_pair, side="b")
    assert bob.wait_exit() == 0, bob.report()
    assert alice.wait_exit() == 0, alice.report()
    assert list(kept(tmp_path, "alice")) == ["bob"]
    assert list(kept(tmp_path, "bob")) == ["alice"]
    watcher.stop()
    seen = b"".join(watcher.frames)
    assert b"_p2pcall-pair" in seen
    keys = [identity(tmp_path, who).public for who in ("alice", "bob")]
    for secret in (b"alice", b"bob", *(word.encode() for word in parse_code(code).words), *keys):
        assert secret not in seen


@pytest.mark.netns
def test_a_number_that_nobody_here_has_is_told(netns_pair: NetnsPair, p2p: Start) -> None:
    bob = p2p("join", "7-crossover-clockwork", "--json", name="bob", net=netns_pair, side="b")
    assert bob.wait_exit() == 3
    assert error_of(bob)["slug"] == "no-such-invite"
