"""The commands that only show or change what is kept: `id`, `devices`, `contacts`."""

import json as jsonlib
from collections.abc import Sequence
from datetime import UTC, datetime

from p2pcall.cli.options import own_name
from p2pcall.cli.stdout import say
from p2pcall.env import Env
from p2pcall.errors import ExitCode, P2PCallError
from p2pcall.store.contacts import Contacts
from p2pcall.store.home import Home
from p2pcall.store.identity import load_or_create
from p2pcall.view.sanitize import clean

PIPE_COLUMNS = 200
"""Where nobody looks at the width, lines are not broken."""


def _print(env: Env, text: str) -> None:
    env.stdout.write(text + "\n")


def table(env: Env, rows: Sequence[Sequence[str]], *headings: str) -> None:
    """Rows for people: as wide as the terminal, plain text where there is none."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    drawn = Table(*headings, box=None, pad_edge=False)
    for row in rows:
        drawn.add_row(*(Text(cell) for cell in row))
    Console(file=env.stdout, highlight=False, width=None if env.stdout.isatty() else PIPE_COLUMNS).print(
        drawn
    )


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
        return ExitCode.OK
    rows = [(one.kind, clean(one.name), "default" if one.default else "") for one in found]
    table(env, rows, "kind", "name", "")
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
        return ExitCode.OK
    rows = [
        (
            clean(one.name),
            "verified" if one.verified else "contact",
            datetime.fromtimestamp(one.added, UTC).date().isoformat(),
            fingerprint(one.public),
        )
        for one in known
    ]
    table(env, rows, "name", "known", "since", "fingerprint")
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
    say(env, f"{clean(name)} is forgotten; the next call pairs anew")
    return ExitCode.OK
