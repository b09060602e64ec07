"""`contacts require-code` and `contacts safeword`: who has to give a code, and the word that both sides know.

Rules: a secret is shown once, when it is made; a word is never shown, and comes from a prompt that does not echo or
from a file, never from the command line. Without a terminal nothing is asked.
"""

import base64
import json as jsonlib
from pathlib import Path
from typing import Final
from urllib.parse import quote

from p2pcall.cli.hidden_line import hidden_line
from p2pcall.cli.qr import show_qr
from p2pcall.cli.records import no_such_contact
from p2pcall.cli.shown_name import shown_name
from p2pcall.cli.stdout import say
from p2pcall.cli.values import usage
from p2pcall.env import Env
from p2pcall.errors import ExitCode
from p2pcall.factor.passcode import SECRET_BYTES
from p2pcall.factor.safe_word import SafeWord, safe_word
from p2pcall.store.contacts import Contacts, as_typed
from p2pcall.store.factors import Factors
from p2pcall.store.home import Home, file_error

WORD_FILE_BYTES: Final = 1024
"""More is not read: the first line is the word."""


def chosen(**flags: bool) -> str:
    """The one flag that is set, "" for none. P2PCallError (usage) for several."""
    given = [name for name, on in flags.items() if on]
    if len(given) > 1:
        raise usage(f"--{given[0]} and --{given[1]}: one or the other")
    return given[0] if given else ""


def require_code(
    env: Env, home: Home, name: str | None, *, unasked: bool, change: str, json: bool
) -> ExitCode:
    """`p2pcall contacts require-code`; `change` is new, unlock, off, or "" for the first secret."""
    if (name is None) != unasked:
        raise usage("either NAME or --unasked is wanted")
    contacts = Contacts(home)
    factors = Factors(contacts.vault)
    contact = None
    if name is None:
        who, typed, there = "whoever is answered without asking", "--unasked", factors.unasked()
    else:
        contact = contacts.by_name(name)
        if contact is None:
            raise no_such_contact(name)
        who, typed = contact.name, as_typed(contact.name)
        there = factors.required(contact.public, unasked=False)
    if change == "unlock":
        if contact is None:
            raise usage("--unlock wants NAME")
        factors.unlock(contact.public)
        say(env, f"{who} may try codes again")
        return ExitCode.OK
    if there and not change:
        text = f"{who} has to give a code already, and the secret is not shown again"
        raise usage(text, f"p2pcall contacts require-code --new {typed}")
    secret = None if change == "off" else env.entropy(SECRET_BYTES)
    if contact is None:
        factors.require_unasked(secret)
    elif not factors.require(contact.public, secret):
        raise no_such_contact(who)
    if secret is None:
        say(env, f"{who} has to give no code any more")
    else:
        _enrol(env, home, "" if contact is None else who, secret, json=json)
    return ExitCode.OK


def enrolment_uri(secret: bytes, account: str) -> str:
    """What an authenticator app takes."""
    text = base64.b32encode(secret).decode().rstrip("=")
    return f"otpauth://totp/p2pcall:{quote(account, safe='')}?secret={text}&issuer=p2pcall"


def _enrol(env: Env, home: Home, contact: str, secret: bytes, *, json: bool) -> None:
    """Show the new secret, once; `contact` is "" for whoever is answered without asking."""
    uri = enrolment_uri(secret, shown_name(home))
    if json:
        line = {"v": 1, "name": contact or None, "uri": uri}
        env.stdout.write(jsonlib.dumps(line, separators=(",", ":")) + "\n")
        return
    who = contact or "whoever is answered without asking"
    holder = contact or "who is to be let in"
    say(env, f"{who} has to give a code from now on")
    say(env, f"let {holder} scan this with an authenticator app, and nobody else: it is not shown again")
    env.stdout.write(f"uri  {uri}\n")
    show_qr(env, uri, exact=True)  # last, because on a small terminal lines above it scroll away


def set_safe_word(env: Env, home: Home, name: str, word_file: str | None, *, off: bool) -> ExitCode:
    """`p2pcall contacts safeword`."""
    if off and word_file is not None:
        raise usage("--off and --word-file: one or the other")
    contacts = Contacts(home)
    contact = contacts.by_name(name)
    if contact is None:
        raise no_such_contact(name)
    them = contact.name
    word = None
    if not off:
        word = _typed_word(env, them) if word_file is None else _word(_first_line(word_file))
    if not Factors(contacts.vault).set_word(contact.public, word):
        raise no_such_contact(name)
    say(
        env,
        f"no safe word is kept for {them}" if off else f"the safe word with {them} is set; press k in a call",
    )
    return ExitCode.OK


def _word(typed: str) -> SafeWord:
    try:
        return safe_word(typed)
    except ValueError as error:
        raise usage(str(error), "two or three words that only the two of you connect") from error


def _first_line(path: str) -> str:
    try:
        with Path(path).open("rb") as file:
            return file.readline(WORD_FILE_BYTES).decode()
    except OSError as error:
        raise file_error(error, Path(path), "read") from error
    except UnicodeDecodeError as error:
        raise usage("--word-file holds no text") from error


def _typed_word(env: Env, them: str) -> SafeWord:
    """The word, typed twice at the terminal, which does not show it."""
    typed = hidden_line(env, f"safe word with {them} (not shown): ")
    if typed is None:
        hint = f"p2pcall contacts safeword --word-file FILE {as_typed(them)}"
        raise usage("to type a safe word needs a terminal, and there is none", hint)
    word = _word(typed.decode(errors="replace"))
    again = hidden_line(env, "the same again: ") or b""
    if _word(again.decode(errors="replace")) != word:
        raise usage(
            "the two are not the same; nothing was changed", f"p2pcall contacts safeword {as_typed(them)}"
        )
    return word
