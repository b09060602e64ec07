"""What one calls oneself: a name that others can dial, or none; whatever the system says that one is called."""

import getpass
import socket

import pytest
from clirun import NO_MEDIA, assert_told, run

from p2pcall.cli.options import own_name
from p2pcall.errors import P2PCallError
from p2pcall.net.address import undialable

LISTEN = ("listen", "--port", "0", "--announce", "off", "--bind", "192.0.2.77", *NO_MEDIA)
"""Ends by itself: the address is no machine's."""


@pytest.mark.parametrize("name", ["bob:1", "[bob]", "10.0.0.5", "::1", "1.2", "localhost"])
@pytest.mark.parametrize("command", [LISTEN, ("dial", "bob", *NO_MEDIA)], ids=["listen", "dial"])
def test_a_name_that_nobody_could_dial_is_refused(command: tuple[str, ...], name: str) -> None:
    assert_told(run(*command, "--name", name), 2, "--name", repr(name), "could not be dialled", "jan.smit")


@pytest.mark.parametrize("name", ["jan.smit", "Dr. B. Smith", "Zoë Müller"])
def test_a_name_with_dots_or_spaces_is_taken(name: str) -> None:
    assert_told(run(*LISTEN, "--name", name), 2, "192.0.2.77")
    assert own_name(name) == name


def test_joiners_are_kept_where_a_script_needs_them_and_nowhere_else() -> None:
    persian = "\u0639\u0644\u06cc\u200c\u0631\u0636\u0627"
    assert own_name(persian) == persian
    assert own_name("b\u200co\u200db") == "bob"
    with pytest.raises(P2PCallError):
        own_name("\u200c\u200d")


@pytest.mark.parametrize(
    ("login", "name"),
    [
        ("jan.smit", "jan.smit"),
        ("j\udcfcrgen", "jrgen"),
        ("\udcfc\udcff", "this-host"),
        ("jan:1", "this-host"),
        ("10.0.0.5", "this-host"),
        ("x" * 80, "x" * 64),
        (None, "this-host"),
    ],
)
def test_a_login_name_that_is_none_for_others_is_no_crash(
    monkeypatch: pytest.MonkeyPatch, login: str | None, name: str
) -> None:
    def user() -> str:
        if login is None:
            raise KeyError("nobody has this number")
        return login

    monkeypatch.setattr(getpass, "getuser", user)
    monkeypatch.setattr(socket, "gethostname", lambda: "this-host")
    assert own_name(None) == name
    assert undialable(name) is None


def test_a_login_name_that_is_not_utf8_can_be_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGNAME", "j\udcfcrgen")
    ran = run("id")
    assert (ran.exit, ran.err) == (0, "")
    assert ran.out.splitlines()[0] == "name         jrgen"
