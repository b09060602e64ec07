"""Two processes that wait for calls with one home."""

import signal
from pathlib import Path

from pairs import Start, dialling, identity, knows, listening


def test_a_second_listener_on_one_home_says_so_and_both_can_be_called(p2p: Start, tmp_path: Path) -> None:
    knows(tmp_path, "bob", "alice")
    knows(tmp_path, "alice", "bob")
    first, target = listening(p2p, "--answer", "contacts")
    second, other = listening(p2p, "--answer", "contacts")
    warning = second.wait_event("warning", slug="already-listening")
    assert "another p2pcall listen is running with this home" in warning["text"]
    for bob, where in ((first, target), (second, other)):
        alice = dialling(p2p, f"bob@{where}", "--max-duration", "0.5")
        assert alice.wait_exit() == 0, alice.report()
        bob.wait_event("ended")
    assert not first.all_events("warning")
    for bob in (first, second):
        bob.signal(signal.SIGTERM)
        assert bob.wait_exit() == 0
    third, _ = listening(p2p)
    third.signal(signal.SIGTERM)
    assert third.wait_exit() == 0
    assert not third.all_events("warning"), "the others have ended"


def test_a_killed_listener_is_not_counted_and_a_dialler_never_is(p2p: Start, tmp_path: Path) -> None:
    knows(tmp_path, "bob", "alice", identity(tmp_path, "alice").public)
    bob, _ = listening(p2p)
    bob.signal(signal.SIGKILL)
    bob.wait_exit()
    bob, target = listening(p2p, "--answer", "anyone", "--reach", "anyone")
    other = p2p(
        *("dial", "--bind", "127.0.0.1", "--port", "0", "--no-audio", "--no-video"),
        "--json",
        target,
        name="bob",
    )
    other.wait_exit()
    bob.signal(signal.SIGTERM)
    assert bob.wait_exit() == 0
    for process in (bob, other):
        assert not [one for one in process.all_events("warning") if one["slug"] == "already-listening"]


def test_the_second_is_told_at_the_same_port_too(p2p: Start) -> None:
    _, target = listening(p2p)
    port = target.rpartition(":")[2]
    argv = ("listen", "--bind", "127.0.0.1", "--port", port, "--announce", "off", "--no-audio", "--no-video")
    second = p2p(*argv, name="bob")
    assert second.wait_exit() == 2
    assert "another p2pcall listen is running with this home" in second.stderr_text
    assert f"port {port} is in use" in second.stderr_text
