"""A stranger who was not answered, with real processes: told, listed while `listen` runs, accepted, and let in."""

import signal
from pathlib import Path

from pairs import Start, dialling, identity, listening


def test_a_stranger_who_was_not_answered_is_accepted_and_rings_as_a_contact(
    p2p: Start, tmp_path: Path
) -> None:
    bob, target = listening(p2p, "--reach", "anyone")
    alice = dialling(p2p, target)
    assert alice.wait_exit() == 4
    told = bob.wait_event("request")
    assert (told["count"], told["name"]) == (1, "alice")
    assert told["fingerprint"] == identity(tmp_path, "alice").fingerprint
    listed = p2p("contacts", "requests", "--json", name="bob")
    assert listed.wait_exit() == 0
    (row,) = listed.events
    assert (row["number"], row["fingerprint"], row["calls"]) == (told["number"], told["fingerprint"], 1)
    accepted = p2p("contacts", "accept", str(row["number"]), "--as", "Alice", name="bob")
    assert accepted.wait_exit() == 0
    again = dialling(p2p, target)
    assert again.wait_exit() == 4
    assert bob.wait_event("incoming", known="contact")["name"] == "Alice"
    bob.signal(signal.SIGTERM)
    assert bob.wait_exit() == 0
    assert len(bob.all_events("request")) == 1, "a contact is none"
