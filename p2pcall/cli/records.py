"""The commands that only show or change what is kept: `id`, `devices`, `contacts`."""

import json as jsonlib
from datetime import UTC, datetime

from p2pcall.cli.options import own_name
from p2pcall.env import Env
from p2pcall.errors import ExitCode, P2PCallError
from p2pcall.store.contacts import Contacts
from p2pcall.store.home import Home
from p2pcall.store.identity import load_or_create
from p2pcall.view.sanitize import clean


def _print(env: Env, text: str) -> None:
    env.stdout.write(text + "\n")


def _rows(env: Env, rows: list[dict[str, object]]) -> None:
    for row in rows:
        _print(env, jsonlib.dumps({"v": 1, **row}, separators=(",", ":")))


def show_identity(env: Env, home: Home, *, json: bool) -> ExitCode:
    """`p2pcall id`."""
    identity = load_or_create(home, env.entropy)
    if json:
        _rows(env, [{"name": own_name(None), "fingerprint": identity.fingerprint}])
    else:
        _print(env, f"name         {own_name(None)}\nfingerprint  {identity.fingerprint}")
    return ExitCode.OK


def show_devices(env: Env, *, json: bool) -> ExitCode:
    """`p2pcall devices`."""
    from p2pcall.device.factory import list_devices

    found = list_devices()
    if json:
        _rows(env, [{"kind": one.kind, "name": one.name, "default": one.default} for one in found])
        return ExitCode.OK
    if not found:
        _print(env, "no microphone, speaker or camera here; files, tone, silence, test and none work without")
    for one in found:
        _print(env, f"{one.kind:<11} {clean(one.name)}{'  (default)' if one.default else ''}")
    return ExitCode.OK


def list_contacts(env: Env, home: Home, *, json: bool) -> ExitCode:
    """`p2pcall contacts list`."""
    from p2pcall.store.identity import fingerprint

    known = Contacts(home).all()
    if json:
        _rows(
            env,
            [
                {
                    "name": one.name,
                    "fingerprint": fingerprint(one.public),
                    "added": one.added,
                    "verified": one.verified,
                }
                for one in known
            ],
        )
        return ExitCode.OK
    if not known:
        _print(env, "no contacts yet: a call that you place or answer leaves one")
    for one in known:
        day = datetime.fromtimestamp(one.added, UTC).date().isoformat()
        state = "verified" if one.verified else "contact"
        _print(env, f"{clean(one.name):<20} {fingerprint(one.public)}  {state} since {day}")
    return ExitCode.OK


def remove_contact(env: Env, home: Home, name: str) -> ExitCode:
    """`p2pcall contacts remove`."""
    if Contacts(home).remove(name) is None:
        raise P2PCallError(
            "no-such-contact",
            f"there is no contact {clean(name)}",
            ExitCode.NOT_FOUND,
            "p2pcall contacts list",
        )
    env.stderr.write(f"{clean(name)} is forgotten; the next call pairs anew\n")
    return ExitCode.OK
