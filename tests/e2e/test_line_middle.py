"""Somebody in the middle, with keys of its own: heard by the words, refused where the key is known.

The one in the middle relays whole calls between two real processes and hears everything in them. What it cannot
do is to make both people see the same words, or to show a key that somebody has kept.
"""

import json
import sys
from pathlib import Path

import middle
import pytest
from harness import P2P
from pairs import Start, dialling, identity, knows, listening, media

PAYLOADS = 100
"""Two seconds of sound."""


def between(p2p: Start, target: str, *options: str) -> tuple[P2P, str]:
    """Somebody in the middle of the way to this target; and its own port, which stands for the target's now."""
    port = target.rpartition(":")[2]
    eve = p2p(port, *options, program=[sys.executable, middle.__file__], name="eve")
    eve.wait_until(lambda: b"\n" in eve.stdout, "port")
    return eve, eve.stdout.split()[0].decode()


def told(eve: P2P, calls: int) -> dict[str, object]:
    """What it says about the latest of so many calls."""
    eve.wait_until(lambda: eve.stdout.count(b"\n") > calls, "word about the call")
    last: dict[str, object] = json.loads(eve.stdout.splitlines()[calls])
    return last


def test_the_words_differ_in_both_handshakes(p2p: Start, tmp_path: Path) -> None:
    """The first call, and the second one in which both sides know the key in the middle."""
    bob, target = listening(p2p, "--answer", "anyone", using=media("tone"))
    eve, port = between(p2p, target, identity(tmp_path, "bob").public.hex())
    for number, (pattern, known) in enumerate([("XXhfs", "new"), ("IKhfs", "contact")], start=1):
        alice = dialling(p2p, f"localhost:{port}", using=media("tone"))
        here, there = alice.wait_event("connected"), bob.wait_event("connected")
        assert here["protocol"].startswith(f"Noise_{pattern}_25519+MLKEM768_")
        assert there["protocol"].startswith("Noise_XXhfs_25519+MLKEM768_"), "eve is no contact of bob's"
        assert (here["name"], here["known"], there["name"]) == ("localhost", known, "alice")
        assert len(here["sas"]) == len(there["sas"]) == 4
        assert here["sas"] != there["sas"]
        assert here["fingerprint"] != identity(tmp_path, "bob").fingerprint
        for side in (alice, bob):
            side.wait_event("first-audio")
            side.wait_event("stats")
            side.wait_event("stats")
        alice.stop()
        assert bob.wait_event("ended")["reason"] == "hung-up"
        heard = told(eve, number)["heard"]
        assert isinstance(heard, list)
        assert min(heard) >= PAYLOADS / 2, "nothing passed through the middle"


@pytest.mark.parametrize("in_the_middle", [False, True])
def test_who_has_kept_the_key_refuses_with_exit_5(p2p: Start, tmp_path: Path, in_the_middle: bool) -> None:
    """Without anybody in the middle the same call is made, under the key that is known."""
    knows(tmp_path, "bob", "alice")
    bob, target = listening(p2p, "--answer", "anyone")
    knows(tmp_path, "alice", "localhost", identity(tmp_path, "bob").public)
    port = between(p2p, target)[1] if in_the_middle else target.rpartition(":")[2]
    alice = dialling(p2p, f"localhost:{port}", "--max-duration", "0.5")
    assert alice.wait_exit() == (5 if in_the_middle else 0)
    if in_the_middle:
        assert "localhost" in alice.wait_event("error", slug="key-changed", exit=5)["text"]
        assert alice.all_events("ringing") == alice.all_events("connected") == []
        assert bob.all_events("incoming") == []
    else:
        assert alice.wait_event("connected")["protocol"].startswith("Noise_IKhfs_")


def test_a_listener_who_has_kept_the_callers_key_does_not_take_the_one_in_the_middle_for_her(
    p2p: Start, tmp_path: Path
) -> None:
    knows(tmp_path, "bob", "alice")
    bob, target = listening(p2p, "--answer", "anyone", "--reach", "anyone")
    _, port = between(p2p, target)
    alice = dialling(p2p, f"127.0.0.1:{port}", "--max-duration", "0.3")
    assert "alice" in bob.wait_event("warning", slug="not-your-contact")["text"]
    incoming = bob.wait_event("incoming")
    assert incoming["known"] == "new"
    assert incoming["fingerprint"].startswith(incoming["name"])
    alice.wait_exit()
