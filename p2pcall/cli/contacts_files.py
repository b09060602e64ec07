"""`p2pcall contacts export` and `import`: the contacts in one sealed file.

Rules: the file has a passphrase of its own. An import says what it has left out, and why, and what of the file it does
not believe; it changes nothing that is here. That something was left out is no failure: the exit status is 0.
"""

import json as jsonlib
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from msgspec.structs import asdict

from p2pcall.cli.passphrase import new_passphrase, opened_by_passphrase, spinner
from p2pcall.cli.stdout import say
from p2pcall.env import Env
from p2pcall.errors import ExitCode, P2PCallError
from p2pcall.store import adoption
from p2pcall.store.contacts import Contacts
from p2pcall.store.contacts_export import (
    OWN_KEY,
    TWICE,
    ExportChecks,
    export_contacts,
    read_export,
    sealed_export,
)
from p2pcall.store.home import Home
from p2pcall.store.identity import load_or_create
from p2pcall.store.seal import tuned
from p2pcall.view.sanitize import ERROR_CELLS, clean

WHY: Final = {
    adoption.NAME_TAKEN: "that name is kept with another key",
    adoption.KEY_KEPT: "that key is kept under the name {}",
    adoption.BLOCKED_HERE: "that key is blocked here",
    adoption.CONTACT_HERE: "blocked in the file, but a contact here",
    adoption.NO_ROOM: "there is no room for more",
    OWN_KEY: "that is your own key",
    TWICE: "that key is in the file twice",
}
"""Why something is left out."""


def write_contacts(
    env: Env, home: Home, file: str, *, new_file: str | None, force: bool, json: bool
) -> ExitCode:
    """`p2pcall contacts export`."""
    from p2pcall.store.backup import check_no_file

    path = Path(file).expanduser().absolute()
    check_no_file(path, force=force)
    identity = load_or_create(home, env.entropy)  # its passphrase is asked for first
    passphrase = new_passphrase(env, new_file, "the file of contacts")
    with spinner(env, "sealing the contacts"):
        cost, now = tuned(time.perf_counter), env.clock.time()
        book = export_contacts(home, identity, path, passphrase, env.entropy, cost, now, force=force)
    if json:
        _record(env, file=str(path), contacts=len(book.contacts), blocked=len(book.blocked))
    else:
        what = f"{_count(len(book.contacts), 'contact')} and {_count(len(book.blocked), 'block')}"
        say(env, f"{clean(str(path), ERROR_CELLS)} has {what}, sealed under its passphrase")
    return ExitCode.OK


def take_contacts(env: Env, home: Home, file: str, *, passphrase_file: str | None, json: bool) -> ExitCode:
    """`p2pcall contacts import`."""
    path = Path(file).expanduser().absolute()
    sealed = sealed_export(path)
    identity = load_or_create(home, env.entropy)
    now_epoch, checks = env.clock.time(), _checks()
    try:
        export = opened_by_passphrase(
            *(env, passphrase_file, path),
            lambda given: read_export(path, sealed, given, identity, now_epoch, checks),
        )
    except P2PCallError as error:
        if error.slug != "locked-identity":
            raise
        raise P2PCallError(error.slug, error.text, error.exit, "--import-passphrase-file FILE") from error
    done = Contacts(home).adopt(export.book)
    added = {one.name for one in done.added}
    cleaned, lowered = (
        [clean(name) for name in names if name in added] for names in (export.cleaned, export.lowered)
    )
    left_out = (*export.left_out, *done.left_out)
    if json:
        _record(
            env,
            file=str(path),
            made=export.made,
            ours=export.ours,
            added=[clean(one.name) for one in done.added],
            here=done.here,
            blocked=len(done.blocked),
            cleaned=cleaned,
            lowered=lowered,
            left_out=[
                {**asdict(one), "name": clean(one.name), "here": one.here and clean(one.here)}
                for one in left_out
            ],
        )
        return ExitCode.OK
    made = datetime.fromtimestamp(export.made, UTC).date().isoformat()
    what = f"{_count(len(done.added), 'contact')} and {_count(len(done.blocked), 'block')}"
    say(env, f"{what} added, as kept on {made}; {done.here} of the contacts were here already")
    if cleaned:
        say(env, f"cleaned, because no name is spelt as in the file: {', '.join(cleaned)}")
    if not export.ours:
        say(
            env,
            "the file was not made with your private key, so nobody is verified by it, or answered unasked",
        )
    if lowered:
        say(env, f"verified or answered unasked in the file, and not here: {', '.join(lowered)}")
    for one in left_out:
        say(env, f"left out: {clean(one.name)} ({one.fingerprint}): {WHY[one.why].format(clean(one.here))}")
    return ExitCode.OK


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _checks() -> ExportChecks:
    from p2pcall.engine.trust import safe_key
    from p2pcall.net.address import undialable

    return ExportChecks(lambda name: undialable(name) is None, safe_key)


def _record(env: Env, **row: object) -> None:
    env.stdout.write(jsonlib.dumps({"v": 1, **row}, separators=(",", ":")) + "\n")
