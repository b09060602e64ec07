"""`contacts require-code` and `contacts safeword`: what is shown once, what is never shown, and what scripts get."""

import asyncio
import base64
from functools import partial
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from clirun import BOB, assert_told, run
from fakeenv import fake_env
from window import TRUECOLOUR, Window, output_at
from window import run as in_loop

from p2pcall.cli.factors import enrolment_uri
from p2pcall.cli.qr import qr_lines
from p2pcall.factor.passcode import FAILURES_TO_LOCK, SECRET_BYTES
from p2pcall.factor.safe_word import SafeWord
from p2pcall.store.contact_secrets import Secret, contact_secret
from p2pcall.store.contacts import Contacts
from p2pcall.store.factors import Factors
from p2pcall.store.home import Home


@pytest.fixture
def contacts(home: Path) -> Contacts:
    contacts = Contacts(Home.at(home))
    contacts.pin("bob", BOB, 1.0)
    return contacts


def kept(contacts: Contacts) -> bytes | None:
    """What is kept of the secret of bob's codes."""
    return contact_secret(contacts.vault, BOB, Secret.TOTP)


def word(contacts: Contacts) -> SafeWord | None:
    return Factors(contacts.vault).word(BOB)


def test_the_secret_is_shown_once_as_what_an_authenticator_app_takes(contacts: Contacts) -> None:
    ran = run("contacts", "require-code", "Bob", "--json")
    assert ran.exit == 0
    (row,) = ran.rows
    parts = urlsplit(row["uri"])
    assert (row["name"], parts.scheme, parts.netloc) == ("bob", "otpauth", "totp")
    assert unquote(parts.path).startswith("/p2pcall:")
    query = parse_qs(parts.query)
    secret = query["secret"][0]
    code, before = base64.b32decode(secret), kept(contacts)
    assert before is not None
    assert before.endswith(code)
    assert (len(code), query["issuer"]) == (SECRET_BYTES, ["p2pcall"])
    for argv in (
        ["contacts", "show", "bob"],
        ["contacts", "show", "bob", "--json"],
        ["contacts", "list", "--json"],
    ):
        again = run(*argv)
        assert secret not in again.out + again.err
        assert code.hex() not in again.out
    assert_told(run("contacts", "require-code", "bob"), 2, "already", "--new")
    assert kept(contacts) == before


def test_people_are_shown_the_uri_and_told_to_let_it_be_scanned(contacts: Contacts) -> None:
    ran = run("contacts", "require-code", "bob")
    assert ran.exit == 0
    assert "otpauth://totp/p2pcall:" in ran.out
    assert "not shown again" in ran.err
    assert "wanted before it rings" in run("contacts", "show", "bob").out


def test_the_qr_code_holds_the_uri_as_it_is() -> None:
    uri = enrolment_uri(bytes(SECRET_BYTES), "jan smit")
    assert uri == f"otpauth://totp/p2pcall:jan%20smit?secret={'A' * 32}&issuer=p2pcall"
    assert qr_lines(uri, colours=False, exact=True) != qr_lines(uri, colours=False)
    assert len(qr_lines(uri, colours=False, exact=True)[0]) <= 80


def test_a_secret_can_be_replaced_and_ended(contacts: Contacts) -> None:
    first = run("contacts", "require-code", "bob", "--json").rows[0]["uri"]
    assert run("contacts", "require-code", "bob", "--new", "--json").rows[0]["uri"] != first
    assert run("contacts", "require-code", "bob", "--off").exit == 0
    assert kept(contacts) is None
    assert run("contacts", "show", "bob", "--json").rows[0]["code"] is False


def test_who_is_locked_out_is_shown_and_can_be_let_try_again(contacts: Contacts) -> None:
    run("contacts", "require-code", "bob")
    factors = Factors(contacts.vault)
    for _ in range(FAILURES_TO_LOCK):
        factors.judge(BOB, b"no", 9_000_000_000.0, unasked=False)
    assert run("contacts", "show", "bob", "--json").rows[0]["locked_s"] == 60
    assert "locked for 1 minute" in run("contacts", "show", "bob").out
    assert run("contacts", "require-code", "--unlock", "bob").exit == 0
    assert run("contacts", "show", "bob", "--json").rows[0]["locked_s"] == 0


def test_a_code_can_be_wanted_of_whoever_is_answered_without_asking(contacts: Contacts) -> None:
    assert run("contacts", "require-code", "--unasked", "--json").rows[0]["name"] is None
    assert Factors(contacts.vault).unasked()
    assert run("contacts", "require-code", "--unasked").exit == 2
    assert run("contacts", "require-code", "--unasked", "--off").exit == 0
    assert not Factors(contacts.vault).unasked()


@pytest.mark.parametrize(
    ("argv", "code"),
    [
        ([], 2),
        (["bob", "--unasked"], 2),
        (["--unasked", "--unlock"], 2),
        (["bob", "--new", "--off"], 2),
        (["nobody"], 3),
        (["nobody", "--off"], 3),
    ],
)
def test_what_makes_no_sense_changes_nothing(contacts: Contacts, argv: list[str], code: int) -> None:
    before = contacts.vault.stamp()
    assert run("contacts", "require-code", *argv).exit == code
    assert contacts.vault.stamp() == before


def test_a_safe_word_comes_from_a_file_and_is_never_shown(contacts: Contacts, tmp_path: Path) -> None:
    file = tmp_path / "word"
    file.write_text("Blue  Giraffe\nanything\n")
    ran = run("contacts", "safeword", "bob", "--word-file", str(file))
    assert ran.exit == 0
    assert word(contacts) == SafeWord("blue giraffe")
    shown = run("contacts", "show", "bob")
    assert "safe word" in shown.out
    rows = run("contacts", "show", "bob", "--json")
    assert rows.rows[0]["safe_word"] is True
    assert "iraffe" not in ran.out + ran.err + shown.out + shown.err + rows.out
    assert run("contacts", "safeword", "bob", "--off").exit == 0
    assert word(contacts) is None


def test_without_a_terminal_no_word_is_asked_for(contacts: Contacts) -> None:
    assert_told(run("contacts", "safeword", "bob"), 2, "terminal", "--word-file")


@pytest.mark.parametrize(("content", "code"), [(b"abc", 2), (b"", 2), (b"\xff\xfe\xfd\xfc", 2), (None, 8)])
def test_a_word_that_is_none_is_refused_and_not_repeated(
    contacts: Contacts, tmp_path: Path, content: bytes | None, code: int
) -> None:
    file = tmp_path / "word"
    if content is not None:
        file.write_bytes(content)
    ran = run("contacts", "safeword", "bob", "--word-file", str(file))
    assert ran.exit == code
    assert "abc" not in ran.err
    assert word(contacts) is None
    assert run("contacts", "safeword", "nobody", "--off").exit == 3
    assert run("contacts", "safeword", "bob", "--off", "--word-file", "x").exit == 2


def test_two_sources_of_a_code_are_one_too_many() -> None:
    assert run("dial", "bob", "--pin-file", "x", "--pin-command", "y").exit == 2


# ---- the question at the terminal


@pytest.mark.terminal
@pytest.mark.parametrize(
    ("typed", "code"),
    [
        (b"123456\r", "123456"),
        (b"12 34 56\r", "123456"),
        (b"12x34\r567\x7f6\r", "123456"),
        (b"12345678\r", "123456"),
        (b"q", None),
        (b"\x04", None),
    ],
)
def test_the_question_takes_six_digits_and_nothing_else(
    window: Window, typed: bytes, code: str | None
) -> None:
    async def work() -> None:
        output = output_at(window)
        window.type(b"999999\r")
        question = output.ask_code("bob\x1b[2J")
        assert question is not None
        answer = asyncio.ensure_future(question)
        await window.see(b"([q] none): ")
        assert b"code for bob" in window.seen
        assert b"[2J" not in window.seen.partition(b"code for")[2].replace(b"bob[2J", b"")
        assert not answer.done(), "what was typed before is no answer"
        window.type(typed)
        assert await answer == code
        assert output.terminal is not None
        assert not output.terminal.entered
        await asyncio.to_thread(output.close)
        output.terminal.close()

    in_loop(work)


def test_without_a_terminal_nobody_is_asked_for_a_code() -> None:
    from p2pcall.cli.output import CommandOutput

    output = CommandOutput(fake_env(environ=TRUECOLOUR))
    assert output.ask_code("bob") is None
    assert partial(output.close)() is None
