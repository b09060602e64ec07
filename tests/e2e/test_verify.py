"""The key `i` in real terminals: what both people see, what yes and no leave behind, and what plain lines say."""

import json
from pathlib import Path

import pytest
from harness import P2P
from pairs import NO_MEDIA, Call, Start, dialling, identity, knows, listening

from p2pcall.store.contacts import Contacts
from p2pcall.store.home import Home

pytestmark = pytest.mark.terminal

SIZES = [(120, 40), (80, 24), (40, 12)]
QUESTION = ("are they the same?", "[y]es", "[n]o", "any other key closes")


def in_sight(p2p: Start, size: tuple[int, int] = (80, 24), *options: str) -> Call:
    """A call in which alice, who has a terminal of this size, has pressed `i`."""
    bob, target = listening(p2p, "--answer", "anyone", "--once")
    alice = dialling(p2p, target, *options, terminal=size)
    call = Call(alice, bob, alice.wait_event("connected"), bob.wait_event("connected"))
    alice.wait_event("stats")
    alice.send("i")
    return call


def safety_groups(text: str) -> list[str]:
    """The groups of five digits on a screen or in lines, in order."""
    parts = text.replace("│", " ").split()
    return [part for part in parts if len(part) == 5 and part.isdigit()]


def shown(p2p: Start, place: Path, who: str, whom: str) -> dict[str, object]:
    """What `contacts show` says, as JSON."""
    process = p2p("contacts", "show", whom, "--json", home=place / who)
    assert process.wait_exit() == 0, process.report()
    record: dict[str, object] = json.loads(process.stdout)
    return record


def verified(place: Path, who: str) -> dict[str, bool]:
    """Whom somebody has in the contacts, and whether they are verified."""
    return {one.name: one.verified for one in Contacts(Home.at(place / who)).all()}


def box(alice: P2P) -> list[str]:
    """The lines of the box, from its upper edge to its lower one."""
    assert alice.screen is not None
    lines = [line.rstrip() for line in alice.screen_text.splitlines()]
    first = next(row for row, line in enumerate(lines) if "─ verify bob" in line)
    last = next(row for row, line in enumerate(lines) if row > first and "╰" in line)
    left = lines[first].index("╭")
    return [line[left:] for line in lines[first : last + 1]]


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
def test_the_box_is_whole_and_says_what_the_other_side_knows(
    p2p: Start, tmp_path: Path, size: tuple[int, int]
) -> None:
    call = in_sight(p2p, size)
    alice = call.alice
    alice.wait_screen(*QUESTION)
    lines = box(alice)
    assert len({len(line) for line in lines}) == 1, "\n".join(lines)
    assert all(line[0] == line[-1] == "│" for line in lines[1:-1]), "\n".join(lines)
    text = "\n".join(lines)
    assert all(word in text for word in call.bob_connected["sas"])
    joined = "".join(line.strip("│ ") for line in lines[1:-1])
    assert call.bob_connected["protocol"] in joined
    alice.send("x")
    alice.wait_until(lambda: "verify bob" not in alice.screen_text, "box that is closed")
    knows(tmp_path, "bob", "alice")
    knows(tmp_path, "alice", "bob")
    number = str(shown(p2p, tmp_path, "bob", "alice")["safety_number"])
    assert safety_groups(text) == number.split()
    assert shown(p2p, tmp_path, "alice", "bob")["safety_number"] == number
    alice.send("q")
    assert alice.wait_exit() == 0
    assert alice.all_events("verified") == []


def test_yes_is_seen_at_once_and_kept(p2p: Start, tmp_path: Path) -> None:
    call = in_sight(p2p, (160, 40))
    call.alice.wait_screen(*QUESTION, "not verified")
    call.alice.send("y")
    told = call.alice.wait_event("verified")
    assert (told["call"], told["name"], told["known"]) == (call.alice_connected["call"], "bob", "verified")
    assert told["fingerprint"] == identity(tmp_path, "bob").fingerprint
    call.alice.wait_screen("✓ verified")
    call.alice.send("q")
    assert (call.alice.wait_exit(), call.bob.wait_exit()) == (0, 0)
    for side in (call.alice, call.bob):
        assert side.wait_event("ended")["sas"] == call.alice_connected["sas"]
    assert verified(tmp_path, "alice") == {"bob": True}
    assert shown(p2p, tmp_path, "alice", "bob")["verified"] is True
    again = in_sight(p2p, (80, 24))
    assert again.alice_connected["known"] == "verified"


def test_no_ends_the_call_with_exit_5_and_forgets_the_key(p2p: Start, tmp_path: Path) -> None:
    call = in_sight(p2p)
    modes = call.alice.terminal_modes()
    call.alice.wait_screen(*QUESTION)
    call.alice.send("n")
    assert call.alice.wait_exit() == 5
    ended = call.alice.wait_event("ended")
    assert (ended["reason"], ended["exit"]) == ("not-verified", 5)
    assert call.bob.wait_event("ended")["reason"] == "hung-up"
    assert call.bob.wait_exit() == 0
    assert verified(tmp_path, "alice") == {}
    assert call.alice.terminal_modes() != modes, "the terminal is as it was before the call"


@pytest.mark.parametrize("answer", ["y", "n"])
def test_the_same_in_plain_lines(p2p: Start, tmp_path: Path, answer: str) -> None:
    """The person who listens, with `--plain`, who is asked whether to answer as well."""
    options = ("--once", "--plain", *NO_MEDIA)
    bob = p2p(
        *("listen", "--bind", "127.0.0.1", "--port", "0", "--announce", "off", "--name", "bob", *options),
        name="bob",
        terminal=(120, 40),
    )
    bob.wait_screen("waiting for calls as bob, port ")
    target = "127.0.0.1:" + bob.screen_text.partition("port ")[2].split()[0]
    alice = dialling(p2p, target)
    bob.wait_screen("[d] decline")
    bob.send("a")
    words = " ".join(alice.wait_event("connected")["sas"])
    bob.wait_screen("alice (not verified), 0:0")
    bob.send("i")
    bob.wait_screen("verify alice: ", f"words: {words}\n", "are they the same? press y for yes")
    knows(tmp_path, "alice", "bob")
    number = str(shown(p2p, tmp_path, "alice", "bob")["safety_number"]).split()
    bob.wait_screen(" ".join(number[:6]), " ".join(number[6:]))
    bob.send(answer)
    if answer == "y":
        bob.wait_screen("alice is verified from now on", "alice (verified), 0:0")
        bob.send("q")
    assert bob.wait_exit() == {"y": 0, "n": 5}[answer]
    why = {"y": "hung up after 0:", "n": "the words are not the same: somebody may be in between"}[answer]
    assert why in bob.screen_text
    assert f", words: {words}" in bob.screen_text
    assert alice.wait_exit() == 0
    assert verified(tmp_path, "bob") == {"y": {"alice": True}, "n": {}}[answer]
    assert b"\x1b[2J" not in bob.terminal_output


@pytest.mark.parametrize(
    ("key", "code", "verified"), [("y\r", 0, True), ("n\r", 5, False), ("\x03", 130, False)]
)
def test_the_number_is_compared_outside_of_calls(
    p2p: Start, tmp_path: Path, key: str, code: int, verified: bool
) -> None:
    knows(tmp_path, "alice", "bob")
    alice = p2p("contacts", "verify", "bob", name="alice", terminal=(80, 24))
    alice.wait_screen("safety number", "Does bob see the same number", "type yes or no, then Enter")
    number = str(shown(p2p, tmp_path, "alice", "bob")["safety_number"])
    assert safety_groups(alice.screen_text) == number.split()
    alice.send(key)
    assert alice.wait_exit() == code
    (contact,) = Contacts(Home.at(tmp_path / "alice")).all()
    assert contact.verified is verified
