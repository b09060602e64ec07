"""Erasing with real processes: not while somebody listens; and a person at a terminal is asked, and reads what goes."""

import signal
from pathlib import Path

from harness import P2P
from pairs import Start, knows, listening

TERMINAL = (100, 30)


def erasing(p2p: Start, home: Path, *options: str, **where: object) -> P2P:
    return p2p("privacy", "erase", *options, home=home, **where)


def test_while_somebody_listens_nothing_is_erased_and_then_everything(p2p: Start, tmp_path: Path) -> None:
    """Also if the listener has come to an empty home."""
    home = tmp_path / "bob"
    bob, _ = listening(p2p)
    for options in (("--all",), ("--contact", "alice")):
        refused = erasing(p2p, home, "--yes", *options)
        assert refused.wait_exit() == 8
        assert "another command uses" in refused.stderr_text
    bob.signal(signal.SIGTERM)
    assert bob.wait_exit() == 0
    assert erasing(p2p, home, "--all", "--yes").wait_exit() == 0
    assert not home.exists()


def test_a_person_at_a_terminal_reads_what_goes_and_types_a_word(p2p: Start, tmp_path: Path) -> None:
    home = tmp_path / "alice"
    knows(tmp_path, "alice", "bob")
    for answer, status in (("yes\r", 130), ("erase\r", 0)):
        process = erasing(p2p, home, "--contact", "bob", terminal=TERMINAL)
        process.wait_screen("1 of contacts", "to erase bob, type erase")
        process.send(answer)
        assert process.wait_exit() == status
    assert "erased  contacts" in process.screen_text
    process = erasing(p2p, home, "--all", terminal=TERMINAL)
    process.wait_screen("/identity.key: your private", "nobody can undo this", "to erase all of it")
    process.send("erase\r")
    assert process.wait_exit() == 0
    assert not home.exists()


def test_a_process_that_was_killed_leaves_the_home_to_the_next(p2p: Start, tmp_path: Path) -> None:
    bob, _ = listening(p2p)
    bob.signal(signal.SIGKILL)
    bob.wait_exit()
    assert erasing(p2p, tmp_path / "bob", "--all", "--yes").wait_exit() == 0
    assert not (tmp_path / "bob").exists()
