"""A contact's permissions between real processes: given and taken back by scripts while `listen` runs."""

from pathlib import Path

from pairs import Start, dialling, knows, listening


def test_what_a_script_allows_and_forbids_takes_effect_in_a_listener_that_runs(
    p2p: Start, tmp_path: Path
) -> None:
    def say(*argv: str) -> None:
        process = p2p("contacts", *argv, home=tmp_path / "bob")
        assert process.wait_exit() == 0, process.report()

    knows(tmp_path, "bob", "alice")
    knows(tmp_path, "alice", "bob")
    bob, target = listening(p2p, "--reach", "contacts")
    assert dialling(p2p, target).wait_exit() == 4, "there is nobody to ask"

    say("allow", "alice", "sound")
    alice = dialling(p2p, target)
    alice.wait_event("connected")
    say("forbid", "alice", "sound")
    assert bob.wait_event("warning", slug="permission-withdrawn")["text"].endswith(": sound off")
    assert bob.wait_event("media", side="local")["audio"] is False
    assert alice.wait_event("media", side="remote")["audio"] is False
    alice.stop()
    bob.wait_event("ended", reason="hung-up")
    assert dialling(p2p, target).wait_exit() == 4

    say("forbid", "alice", "ring")
    assert dialling(p2p, target).wait_exit() == 3
    assert len(bob.all_events("incoming")) == 3
    say("allow", "alice", "ring", "sound")
    alice = dialling(p2p, target, "--max-duration", "0.3")
    assert alice.wait_exit() == 0, alice.report()
