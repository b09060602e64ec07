"""`p2pcall history`: shows, exports and erases the call log, and sets for how long calls are kept.

Erasing asks at a terminal; without one, `--yes` must say it.
"""

import json as jsonlib
import time
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from msgspec.structs import asdict

from p2pcall.cli.stdout import say
from p2pcall.cli.values import usage, whole
from p2pcall.engine.outcome import ENDINGS
from p2pcall.env import Env
from p2pcall.errors import ExitCode, P2PCallError
from p2pcall.store import retention
from p2pcall.store.calllog import CallLog, LoggedCall
from p2pcall.store.contacts import Contacts
from p2pcall.store.home import Home
from p2pcall.store.identity import fingerprint, read_fingerprint
from p2pcall.store.recordings import DAY_S
from p2pcall.store.vault import Vault
from p2pcall.view.sanitize import clean, width

HEADINGS: Final = ("when", "", "who", "how long", "how it ended", "until")
SHOWN_NAMES: Final = 1024
"""Names whose shown form is remembered: more than most people call in a month."""
MINUTE_S: Final = 60
MINUTES: Final = 60
"""Of an hour."""


def _vault(env: Env, home: Home) -> Vault:
    """The vault, in which what is too old is erased by now."""
    vault = Vault(home)
    retention.enforce(vault, env.clock.time())
    return vault


def list_calls(env: Env, home: Home, most: int | None, *, json: bool) -> ExitCode:
    """`p2pcall history list`: the newest first."""
    vault = _vault(env, home)
    log = CallLog(vault)
    days = retention.kept_days(vault)
    calls = log.newest(env.clock.time(), most)
    if json:
        for call in calls:
            row = {"v": 1, **_row(call, days)}
            env.stdout.write(jsonlib.dumps(row, separators=(",", ":")) + "\n")
        return ExitCode.OK
    if not calls:
        env.stdout.write(
            "no calls\n" if days else "calls are not logged: `p2pcall history keep` says for 0 days\n"
        )
        return ExitCode.OK
    _columns(env, [HEADINGS, *(_told(call, days) for call in calls)])
    more = log.count() - len(calls)
    if more:
        say(env, f"and {more} before (--all lists them)")
    return ExitCode.OK


def export_calls(env: Env, home: Home) -> ExitCode:
    """`p2pcall history export`."""
    vault = _vault(env, home)
    now, days = env.clock.time(), retention.kept_days(vault)
    calls = [_row(call, days) for call in CallLog(vault).newest(now)]
    document = {"v": 1, "exported": now, "days": days, "calls": calls}
    env.stdout.write(jsonlib.dumps(document, ensure_ascii=False, indent=1) + "\n")
    return ExitCode.OK


def erase_calls(env: Env, home: Home, who: str | None, *, yes: bool) -> ExitCode:
    """`p2pcall history erase`."""
    vault = _vault(env, home)
    log = CallLog(vault)
    key = None if who is None else _key(Contacts(home, vault), who)
    count = log.count(key)
    what = f"{count} {'call' if count == 1 else 'calls'}" + (f" with {clean(who)}" if who is not None else "")
    if count and not yes:
        _ask(env, what)
    log.erase(key)
    say(env, f"{what} erased" if count else "there is no call to erase")
    return ExitCode.OK


def keep_calls(env: Env, home: Home, given: str) -> ExitCode:
    """`p2pcall history keep`."""
    days = whole("DAYS", 0, retention.MAX_DAYS)(given)
    gone = retention.keep_days(_vault(env, home), days, env.clock.time())
    kept = f"calls are kept for {days} {'day' if days == 1 else 'days'}" if days else "calls are not logged"
    say(env, f"{kept} from now on" + (f"; {gone} erased" if gone else ""))
    return ExitCode.OK


def _ask(env: Env, what: str) -> None:
    """Ask a person. P2PCallError (usage) if there is none, (interrupted) if the answer is not yes."""
    if not (env.stdin.isatty() and env.stdout.isatty()):
        hint = "p2pcall history erase --yes"
        raise usage(f"the question whether to erase {what} needs a terminal, and there is none", hint)
    env.stdout.write(f"erase {what}? type yes, then Enter; anything else changes nothing: ")
    env.stdout.flush()
    if env.stdin.readline().strip().lower() not in ("y", "yes"):
        raise P2PCallError("not-erased", "nothing was erased", ExitCode.INTERRUPTED, "p2pcall history list")


def _key(contacts: Contacts, who: str) -> str:
    """The fingerprint that is meant: a contact's, or one that is given whole."""
    key = read_fingerprint(who)
    contact = contacts.by_name(who)
    if key is not None:
        return key
    if contact is None:
        text = f"there is no contact {clean(who)}"
        raise P2PCallError("no-such-contact", text, ExitCode.NOT_FOUND, "p2pcall contacts list")
    return fingerprint(contact.public)


_shown = lru_cache(SHOWN_NAMES)(clean)
"""Names in the log: they come again and again."""


def _columns(env: Env, rows: Sequence[Sequence[str]]) -> None:
    """Print rows as columns; a table of `rich` takes five times as long as all else."""
    widths = [max(map(width, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell + " " * (wide - width(cell)) for cell, wide in zip(row, widths, strict=True))
        env.stdout.write("  ".join(cells).rstrip() + "\n")


def _row(call: LoggedCall, days: int) -> dict[str, object]:
    """An entry for scripts."""
    return {**asdict(call), "name": _shown(call.name), "until": call.at + days * DAY_S}


def _told(call: LoggedCall, days: int) -> tuple[str, ...]:
    """An entry for people."""
    who = _shown(call.name) if call.name else "somebody"
    if call.calls > 1:
        who += f" (the first of {call.calls} calls)"
    ending = ENDINGS.get(call.reason)
    return (
        _local(call.at, "%Y-%m-%d %H:%M"),
        "to" if call.outgoing else "from",
        who,
        _length(call.duration_s),
        call.reason if ending is None else ending.words,
        _local(call.at + days * DAY_S, "%Y-%m-%d"),
    )


def _local(epoch: float, form: str) -> str:
    return time.strftime(form, time.localtime(epoch))


def _length(seconds: float) -> str:
    """Hours, minutes, seconds; nothing for a call that was never up."""
    if not seconds:
        return ""
    minutes, rest = divmod(round(seconds), MINUTE_S)
    hours, minutes = divmod(minutes, MINUTES)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
