"""What was chosen with `privacy settings` counts in the next `listen` and `dial`; an option counts before it."""

from pathlib import Path

from pairs import LOOPBACK, NO_MEDIA, Start, dialling

from p2pcall.store.contacts import Contacts
from p2pcall.store.home import Home

HERE = ("listen", *LOOPBACK, "--json", *NO_MEDIA)


def test_listen_and_dial_do_what_was_chosen_and_an_option_comes_before(p2p: Start, tmp_path: Path) -> None:
    choices = {"announce": "off", "answer": "anyone", "show-name": "off", "reach": "anyone"}
    for switch, value in choices.items():
        for who in ("alice", "bob"):
            assert p2p("privacy", "settings", switch, value, home=tmp_path / who).wait_exit() == 0
    bob = p2p(*HERE, "--once", home=tmp_path / "bob")
    told = bob.wait_event("listening")
    assert (told["name"], told["announce"], told["reach"]) == ("p2pcall", "off", "anyone")
    target = f"127.0.0.1:{told['port']}"
    alice = p2p("dial", target, *HERE[1:], "--max-duration", "0.3", home=tmp_path / "alice")
    assert alice.wait_event("connected")["name"] == bob.wait_event("connected")["name"] == "p2pcall"
    assert (alice.wait_exit(), bob.wait_exit()) == (0, 0)

    given = ("--answer", "never", "--announce", "contacts", "--name", "bob", "--reach", "anyone")
    bob = p2p(*HERE, *given, home=tmp_path / "bob")
    told = bob.wait_event("listening")
    assert (told["name"], told["announce"]) == ("bob", "contacts")
    carol = dialling(p2p, f"127.0.0.1:{told['port']}", name="carol")
    assert carol.wait_event("ended")["reason"] == "declined"


def test_whoever_shows_no_name_shows_none_by_an_invite(p2p: Start, tmp_path: Path) -> None:
    assert p2p("privacy", "settings", "show-name", "off", home=tmp_path / "alice").wait_exit() == 0
    alice = p2p("invite", *LOOPBACK, "--json", home=tmp_path / "alice")
    told = alice.wait_event("invite")
    bob = p2p(
        "join", told["code"], f"127.0.0.1:{told['port']}", *LOOPBACK[:2], "--json", home=tmp_path / "bob"
    )
    assert (bob.wait_exit(), alice.wait_exit()) == (0, 0), bob.report()
    assert [one.name for one in Contacts(Home.at(tmp_path / "bob")).all()] == ["p2pcall"]
