"""`p2pcall contacts requests`, `accept` and `decline`: strangers who rang, and whose calls nobody has answered.

Rules: a request is meant by its number or by a whole fingerprint, never by the name, which anybody may claim, nor by
the start of a fingerprint, which two keys can share. Who claims a contact's name is shown by the fingerprint. Nothing
is asked: a key that is accepted is no more trusted than one that was added by hand.
"""

import json as jsonlib
from datetime import datetime
from typing import Final

from msgspec import Struct

from p2pcall.cli.options import check_dialable
from p2pcall.cli.records import keep_contact, table
from p2pcall.cli.stdout import say
from p2pcall.cli.values import usage
from p2pcall.env import Env
from p2pcall.errors import ExitCode, P2PCallError
from p2pcall.store import retention
from p2pcall.store.contact import SHORT_FINGERPRINT
from p2pcall.store.contacts import Contacts, as_typed, normalise_name
from p2pcall.store.home import Home
from p2pcall.store.identity import fingerprint, read_fingerprint
from p2pcall.store.recordings import DAY_S
from p2pcall.store.requests import CallRequest, CallRequests
from p2pcall.store.vault import Vault
from p2pcall.view.sanitize import clean

MAX_DIGITS: Final = 18
"""Of a number in the list: any such number fits where it is kept."""
LIST: Final = "p2pcall contacts requests"


class _Kept(Struct):
    """The requests of a home, without those that are too old by now."""

    contacts: Contacts
    requests: CallRequests
    found: list[CallRequest]

    def shown(self, one: CallRequest) -> tuple[str, str]:
        """The name to show, and the contact whose name is claimed, or ""."""
        other = self.contacts.by_name(one.claimed) if one.claimed else None
        nameless = other is not None or not one.claimed
        return (
            fingerprint(one.public)[:SHORT_FINGERPRINT] if nameless else clean(one.claimed),
            "" if other is None else other.name,
        )

    def meant(self, who: str) -> CallRequest:
        """The one that is meant. P2PCallError (not found)."""
        printed = read_fingerprint(who)
        number = int(who) if who.isascii() and who.isdigit() and len(who) <= MAX_DIGITS else None
        for one in self.found:
            if (fingerprint(one.public) == printed) if printed is not None else (one.number == number):
                return one
        raise P2PCallError("no-such-request", f"there is no request {clean(who)}", ExitCode.NOT_FOUND, LIST)


def _kept(env: Env, home: Home) -> _Kept:
    vault, now = Vault(home), env.clock.time()
    retention.enforce(vault, now)
    requests = CallRequests(vault)
    return _Kept(Contacts(home, vault), requests, requests.all(now))


def _print(env: Env, row: dict[str, object]) -> None:
    env.stdout.write(jsonlib.dumps({"v": 1, **row}, separators=(",", ":")) + "\n")


def list_requests(env: Env, home: Home, *, json: bool) -> ExitCode:
    """`p2pcall contacts requests`."""
    kept = _kept(env, home)
    days = retention.request_days(kept.contacts.vault)
    if json:
        for one in kept.found:
            _print(env, _row(kept, one, days))
        return ExitCode.OK
    rows = [_told(kept, one, days) for one in kept.found]
    if not rows:
        env.stdout.write(
            "nobody waits for an answer\n"
            if days
            else "no requests are kept, nor calls: see `p2pcall history keep`\n"
        )
        return ExitCode.OK
    table(env, rows, "number", "calls itself", "calls", "last", "until", "fingerprint")
    say(
        env,
        "p2pcall contacts accept NUMBER; p2pcall contacts decline NUMBER (with --block they cannot ring again)",
    )
    return ExitCode.OK


def _row(kept: _Kept, one: CallRequest, days: int) -> dict[str, object]:
    """A request for scripts."""
    name, poses_as = kept.shown(one)
    return {
        "number": one.number,
        "name": name,
        "fingerprint": fingerprint(one.public),
        "first": one.at,
        "last": one.last,
        "calls": one.calls,
        "until": one.at + days * DAY_S,
        "poses_as": poses_as,
    }


def _told(kept: _Kept, one: CallRequest, days: int) -> tuple[str, ...]:
    """A request for people."""
    name, poses_as = kept.shown(one)
    return (
        str(one.number),
        f"{name} (claims to be your contact {clean(poses_as)})" if poses_as else name,
        str(one.calls),
        _local(one.last, "%Y-%m-%d %H:%M"),
        _local(one.at + days * DAY_S, "%Y-%m-%d"),
        fingerprint(one.public),
    )


def accept_request(env: Env, home: Home, who: str, name: str | None, *, json: bool) -> ExitCode:
    """`p2pcall contacts accept`: the key is kept, not verified; the request is none any more."""
    kept = _kept(env, home)
    one = kept.meant(who)
    shown, poses_as = kept.shown(one)
    chosen = f"p2pcall contacts accept {one.number} --as NAME"
    if name is None and poses_as:
        raise usage(f"{shown} claims the name of your contact {poses_as!r}, with another key", chosen)
    if name is None and not one.claimed:
        raise usage(f"{shown} has claimed no name", chosen)
    name = normalise_name(name or one.claimed)
    try:
        check_dialable(name, "a contact called")
    except P2PCallError as error:
        raise usage(error.text, chosen) from error
    keep_contact(env, kept.contacts, name, one.public)
    printed = fingerprint(one.public)
    if json:
        _print(env, {"number": one.number, "name": name, "fingerprint": printed})
    else:
        say(env, f"{name} is a contact, not verified, fingerprint {printed}")
        say(env, f"p2pcall contacts verify {as_typed(name)}, or i in a call, shows whether it is theirs")
    return ExitCode.OK


def decline_requests(
    env: Env, home: Home, who: str | None, *, everything: bool, block: bool, json: bool
) -> ExitCode:
    """`p2pcall contacts decline`: forgotten, and with `block` never heard again."""
    if (who is None) is not everything:
        raise usage("one of a request and --all", LIST)
    if everything and block:
        raise usage(
            "--all blocks nobody: a new key costs a stranger nothing", "p2pcall contacts decline --all"
        )
    kept = _kept(env, home)
    meant = kept.found if who is None else [kept.meant(who)]
    if block:
        for one in meant:
            kept.contacts.block(fingerprint(one.public), env.clock.time())
    kept.requests.forget([one.public for one in meant])
    if json:
        for one in meant:
            row = {"number": one.number, "name": kept.shown(one)[0], "fingerprint": fingerprint(one.public)}
            _print(env, {**row, "blocked": block})
        return ExitCode.OK
    if who is None:
        say(env, f"{len(meant)} requests are forgotten" if meant else "nobody waits for an answer")
    else:
        what = (
            "is blocked, and cannot make you ring any more" if block else "is forgotten, and may ring again"
        )
        say(env, f"{kept.shown(meant[0])[0]} {what}")
    return ExitCode.OK


def _local(epoch: float, form: str) -> str:
    return datetime.fromtimestamp(epoch).astimezone().strftime(form)
