"""The commands that only show or change stored data, or list devices: `devices`, `contacts`."""

import json as jsonlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from p2pcall.cli.options import check_dialable
from p2pcall.cli.qr import show_qr
from p2pcall.cli.stdout import say
from p2pcall.cli.values import usage
from p2pcall.env import Env
from p2pcall.errors import ExitCode, P2PCallError
from p2pcall.store.contact import SHORT_FINGERPRINT, unusual_permissions
from p2pcall.store.contacts import Contacts, as_typed, normalise_name
from p2pcall.store.factors import Factors
from p2pcall.store.home import Home
from p2pcall.store.identity import fingerprint, load_or_create, read_fingerprint
from p2pcall.view.sanitize import clean

URI_CELLS: Final = 80
"""At most this much of an invalid URI is shown in the error: one line."""

if TYPE_CHECKING:
    from p2pcall.engine.trust import TrustStore
    from p2pcall.store.kept_devices import KeptDevices

PIPE_COLUMNS: Final = 200
"""Width without a terminal, so that lines are not wrapped."""


def _print(env: Env, text: str) -> None:
    env.stdout.write(text + "\n")


def table(env: Env, rows: Sequence[Sequence[str]], *headings: str) -> None:
    """Print rows for people: as wide as the terminal, plain text if there is none. No cell is cut."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    drawn = Table(*headings, box=None, pad_edge=False)
    for row in rows:
        drawn.add_row(*(Text(cell, overflow="fold") for cell in row))
    Console(file=env.stdout, highlight=False, width=None if env.stdout.isatty() else PIPE_COLUMNS).print(
        drawn
    )


def _rows(env: Env, rows: list[dict[str, object]]) -> None:
    for row in rows:
        _print(env, jsonlib.dumps({"v": 1, **row}, separators=(",", ":")))


def show_devices(env: Env, chosen: "KeptDevices", *, json: bool) -> ExitCode:
    """`p2pcall devices`."""
    from p2pcall.device.base import Device
    from p2pcall.device.factory import list_devices

    found = list_devices()
    used = {("microphone", chosen.microphone), ("speaker", chosen.speaker)}

    def note(one: Device) -> str:
        words = ("default" if one.default else "", "chosen" if (one.kind, one.name) in used else "")
        return ", ".join(filter(None, words))

    rows = [(one.kind, clean(one.name), note(one)) for one in found]
    why = None
    try:
        rows.append(("window", "window", f"opens on {clean(_window_driver(env))}"))
        found.append(Device("window", "window", False))
    except P2PCallError as error:
        why = f"no window: {error.text}; {error.hint}"
    if json:
        keys = ("kind", "name", "default")
        _rows(
            env,
            [
                {key: getattr(one, key) for key in keys} | {"chosen": (one.kind, one.name) in used}
                for one in found
            ],
        )
        return ExitCode.OK
    if all(kind == "window" for kind, _, _ in rows):
        _print(env, "no microphone, speaker or camera here; files, tone, silence, test and none work without")
    if rows:
        table(env, rows, "kind", "name", "")
    for kind, name in sorted((kind, name) for kind, name in used if name is not None):
        if (kind, name) not in [(one.kind, one.name) for one in found]:
            _print(env, f"the {kind} {clean(name)} that you chose is not there")
    if why is not None:
        _print(env, why)
    return ExitCode.OK


def _window_driver(env: Env) -> str:
    """The video driver with which a window can be opened; P2PCallError if there is none."""
    import asyncio

    from p2pcall.engine.windowcheck import WindowCheck

    async def look() -> str:
        return (await WindowCheck(env.environ).result()).driver

    return asyncio.run(look())


def list_contacts(env: Env, home: Home, *, json: bool) -> ExitCode:
    """`p2pcall contacts list`."""
    book = Contacts(home)
    rows: list[dict[str, object]] = [
        {
            "name": one.name,
            "fingerprint": fingerprint(one.public),
            "added": one.added,
            "verified": one.verified,
            "blocked": one.blocked,
            "allowed": one.allowed,
        }
        for one in book.all()
    ]
    kept = {row["fingerprint"] for row in rows}
    rows += [
        {
            "name": key[:SHORT_FINGERPRINT],
            "fingerprint": key,
            "added": at,
            "verified": False,
            "blocked": True,
            "allowed": (),
        }
        for key, at in book.blocked().items()
        if key not in kept
    ]
    if json:
        _rows(env, rows)
        return ExitCode.OK
    if not rows:
        _print(
            env,
            "no contacts yet: call somebody by name, or keep a caller at the question after a call",
        )
        return ExitCode.OK
    table(env, [_told(row) for row in rows], "name", "known", "since", "fingerprint")
    return ExitCode.OK


def _told(row: Mapping[str, Any]) -> tuple[str, ...]:
    """One row of the list, for people."""
    known = "blocked" if row["blocked"] else "verified" if row["verified"] else "not verified"
    unusual = [] if row["blocked"] else unusual_permissions(row["allowed"])
    return row["name"], ", ".join([known, *unusual]), _date(row["added"]), row["fingerprint"]


def _date(epoch: float) -> str:
    return datetime.fromtimestamp(epoch, UTC).date().isoformat()


def show_contact(env: Env, home: Home, name: str, *, json: bool) -> ExitCode:
    """`p2pcall contacts show`: the contact, with the safety number to compare outside a call."""
    contacts = Contacts(home)
    contact = contacts.by_name(name)
    if contact is None:
        raise no_such_contact(name)
    trust = _trust_store(env, home)
    from p2pcall.engine.factor_words import minutes

    number = trust.safety_number(contact.public)
    uri = trust.safety_uri(number)
    printed = fingerprint(contact.public)
    factors = Factors(contacts.vault)
    code, word = factors.required(contact.public, unasked=False), factors.word(contact.public)
    locked = factors.locked_s(contact.public, env.clock.time())
    if json:
        row = {
            "name": contact.name,
            "fingerprint": printed,
            "safety_number": " ".join(number),
            "uri": uri,
            "added": contact.added,
            "verified": contact.verified,
            "blocked": contact.blocked,
            "allowed": contact.allowed,
            "code": code,
            "locked_s": locked,
            "safe_word": word is not None,
        }
        _rows(env, [row])
        return ExitCode.OK
    half = len(number) // 2
    known = "verified" if contact.verified else "not verified (press i in a call, or contacts verify)"
    shown = {
        "name": contact.name,
        "known": f"{known}; blocked" if contact.blocked else known,
        "since": _date(contact.added),
        "fingerprint": printed,
        "safety number": " ".join(number[:half]),
        "": " ".join(number[half:]),
        "allowed": ", ".join(contact.allowed) or "nothing",
    }
    if code or locked:
        shown["code"] = "wanted before it rings" + (f"; locked for {minutes(locked)}" if locked else "")
    if word is not None:
        shown["safe word"] = "set"
    _print(env, "\n".join(f"{label:<15}{value}" for label, value in shown.items()))
    show_qr(env, uri)
    return ExitCode.OK


def _trust_store(env: Env, home: Home) -> "TrustStore":
    from p2pcall.engine.trust import TrustStore

    return TrustStore(Contacts(home), load_or_create(home, env.entropy).public)


def no_such_contact(name: str) -> P2PCallError:
    """The error for a name that is nobody's."""
    text = f"there is no contact {clean(name)}"
    return P2PCallError("no-such-contact", text, ExitCode.NOT_FOUND, "p2pcall contacts list")


def remove_contact(env: Env, home: Home, name: str) -> ExitCode:
    """`p2pcall contacts remove`."""
    contact = Contacts(home).remove(name)
    if contact is None:
        raise no_such_contact(name)
    what = "the key stays blocked" if contact.blocked else "the next call pairs again"
    say(env, f"{clean(name)} is forgotten; {what}")
    return ExitCode.OK


def block(env: Env, home: Home, who: str) -> ExitCode:
    """`p2pcall contacts block`: the owner of that key is treated as a stranger, and never rings."""
    contacts = Contacts(home)
    name, key = _whose(contacts, who)
    if key == load_or_create(home, env.entropy).fingerprint:
        raise usage("that is your own key", "p2pcall id")
    contacts.block(key, env.clock.time())
    say(env, f"{name} is blocked, and cannot make you ring any more")
    return ExitCode.OK


def unblock(env: Env, home: Home, who: str) -> ExitCode:
    """`p2pcall contacts unblock`."""
    contacts = Contacts(home)
    name, key = _whose(contacts, who)
    if not contacts.unblock(key):
        raise P2PCallError(
            "not-blocked", f"{name} is not blocked", ExitCode.NOT_FOUND, "p2pcall contacts list"
        )
    say(env, f"{name} is not blocked any more")
    return ExitCode.OK


def _whose(contacts: Contacts, who: str) -> tuple[str, str]:
    """A name to show, and the fingerprint: a contact's, a whole fingerprint as given, or the start of a listed one.

    Text that has the form of a fingerprint is always one, even if it is also a name.
    """
    key = read_fingerprint(who)
    if key is not None:
        names = [contact.name for contact in contacts.all() if fingerprint(contact.public) == key]
        return (*names, key[:SHORT_FINGERPRINT])[0], key
    contact = contacts.by_name(who)
    if contact is not None:
        return contact.name, fingerprint(contact.public)
    listed = [key for key in contacts.blocked() if key[:SHORT_FINGERPRINT] == who.lower()]
    if len(listed) != 1:
        raise no_such_contact(who)
    return listed[0][:SHORT_FINGERPRINT], listed[0]


def rename_contact(env: Env, home: Home, old: str, new: str) -> ExitCode:
    """`p2pcall contacts rename`."""
    new = normalise_name(new)
    check_dialable(new, "a contact called")
    if Contacts(home).rename(old, new) is None:
        raise no_such_contact(old)
    say(env, f"{clean(old)} is called {new} from now on")
    return ExitCode.OK


def add_contact(env: Env, home: Home, name: str, uri: str) -> ExitCode:
    """`p2pcall contacts add`: keep a key that did not come from a call."""
    name = normalise_name(name)
    check_dialable(name, "a contact called")
    contacts = Contacts(home)
    try:
        public = _trust_store(env, home).key_in(uri)
    except ValueError as error:
        hint = "the other side's `p2pcall id` prints theirs, p2pcall:id/1/ and 52 letters and digits"
        raise usage(f"{clean(uri, URI_CELLS)} is nobody's URI: {error}", hint) from error
    keep_contact(env, contacts, name, public)
    say(env, f"{name} is a contact, fingerprint {fingerprint(public)}")
    return ExitCode.OK


def keep_contact(env: Env, contacts: Contacts, name: str, public: bytes) -> None:
    """Keep the key under this name. P2PCallError (usage) if the key is blocked, or the two are kept otherwise."""
    if fingerprint(public) in contacts.blocked():
        raise usage("that key is blocked", f"p2pcall contacts unblock {fingerprint(public)}")
    known, other = contacts.by_key(public), contacts.by_name(name)
    if known is not None and known != other:
        hint = f"p2pcall contacts rename {as_typed(known.name, name)}"
        raise usage(f"that key is kept under the name {known.name!r}", hint)
    if other is not None and other.public != public:
        hint = f"p2pcall contacts rename {as_typed(other.name)} NEW, if they are two people"
        raise usage(f"{other.name!r} is kept with another key, {fingerprint(other.public)}", hint)
    contacts.pin(name, public, env.clock.time())


def verify_contact(env: Env, home: Home, name: str) -> ExitCode:
    """`p2pcall contacts verify`: show the safety number, and ask whether the other side has the same.

    A person must answer at a terminal: no option or script can replace the comparison.
    """
    contacts = Contacts(home)
    contact = contacts.by_name(name)
    if contact is None:
        raise no_such_contact(name)
    if not (env.stdin.isatty() and env.stdout.isatty()):
        raise usage(
            "the question whether the numbers are the same needs a terminal, and there is none",
            f"p2pcall contacts show {as_typed(contact.name)}",
        )
    trust = _trust_store(env, home)
    number = trust.safety_number(contact.public)
    show_qr(env, trust.safety_uri(number))
    half = len(number) // 2  # below the QR code: on a small terminal lines above it have scrolled away
    _print(env, f"safety number  {' '.join(number[:half])}\n{'':<15}{' '.join(number[half:])}")
    them = clean(contact.name)
    _print(env, f"\nDoes {them} see the same number, under `p2pcall contacts show` for you?")
    env.stdout.write("type yes or no, then Enter; anything else changes nothing: ")
    env.stdout.flush()
    said = env.stdin.readline().strip().lower()
    if said not in ("y", "yes", "n", "no"):
        hint = f"p2pcall contacts verify {as_typed(contact.name)}"
        raise P2PCallError("not-compared", "nothing was changed", ExitCode.INTERRUPTED, hint)
    same = said.startswith("y")
    if contacts.verify(contact.name, contact.public, verified=same) is None:
        raise no_such_contact(name)  # removed, or it has another key now
    if not same:
        text = f"{them} is not verified: the numbers are not the same, somebody may be in between"
        hint = f"do not trust this key; to pair anew: p2pcall contacts remove {as_typed(contact.name)}"
        raise P2PCallError("not-verified", text, ExitCode.UNTRUSTED, hint)
    say(env, f"{them} is verified from now on")
    return ExitCode.OK
