"""`p2pcall privacy bundle`: one JSON document that helps to find a fault, and tells nobody who it is about.

Rules: it holds versions, kinds and numbers, words of this program's own, and pseudonyms. No text goes into it that a
person, the other side or the system has named: no path, host, device, interface or program. An error is told by its
slug, for its text has paths. It is shown before it is written, written only where a person or `--yes` says so, over no
file that is there, and sent nowhere.
"""

import json as jsonlib
import os
import platform
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, requires, version
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import Any, Final

from p2pcall import __version__
from p2pcall.cli.privacy_settings import switch_states
from p2pcall.cli.pseudonyms import Pseudonyms
from p2pcall.cli.stdout import say
from p2pcall.cli.values import usage
from p2pcall.device.factory import list_devices
from p2pcall.env import Env
from p2pcall.errors import ExitCode, P2PCallError
from p2pcall.names import visible
from p2pcall.net.interfaces import interfaces
from p2pcall.store.contacts import Contacts
from p2pcall.store.home import Home, write_atomic
from p2pcall.store.identity import fingerprint, keeping
from p2pcall.store.recordings import all_recordings
from p2pcall.store.tally import Ends, all_ends, row_counts
from p2pcall.store.vault import Vault
from p2pcall.store.vault_file import SIDES
from p2pcall.view.probe import probe

MOST_PEOPLE: Final = 20
"""People that have a row of their own: those with the most calls."""
ABOUT: Final = (
    "Names, keys and addresses are replaced by pseudonyms, under a random key that is kept nowhere.",
    "The same pseudonym is the same thing in this document alone.",
    "This document was sent nowhere.",
)
DEVICE_KINDS: Final = ("microphone", "speaker", "camera")
_SCOPES: Final = ("loopback", "link_local", "private", "multicast", "global")
_WORD: Final = re.compile(r"[a-z][a-z-]{0,39}")
"""What a reason or an error's slug looks like."""
_NUMBER: Final = re.compile(r"\d+(\.\d+)*")
"""The part of a version that is no name."""


def make_bundle(env: Env, home: Home, file: str | None, *, yes: bool) -> ExitCode:
    """`p2pcall privacy bundle`."""
    path = None if file is None else Path(file).expanduser().absolute()
    if path is not None:
        if os.path.lexists(path):
            raise usage(
                f"{visible(str(path))} is there, and is not overwritten", "p2pcall privacy bundle NEW-FILE"
            )
        if not yes and not (env.stdin.isatty() and env.stdout.isatty()):
            text = "the question whether to write the bundle needs a terminal, and there is none"
            raise usage(text, "p2pcall privacy bundle --yes FILE")
    text = jsonlib.dumps(bundle(env, home), indent=1) + "\n"
    env.stdout.write(text)
    env.stdout.flush()
    if path is None:
        say(env, "this was neither written nor sent; `p2pcall privacy bundle FILE` writes it")
        return ExitCode.OK
    if not yes:
        _ask(env, path)
    write_atomic(path, text.encode(), ours=False)
    say(env, f"written to {visible(str(path))}; it was not sent")
    return ExitCode.OK


def _ask(env: Env, path: Path) -> None:
    """P2PCallError (interrupted) if the answer is not yes."""
    env.stdout.write(f"write this to {visible(str(path))}?\n")
    env.stdout.write("type yes, then Enter; anything else writes nothing: ")
    env.stdout.flush()
    if env.stdin.readline().strip().lower() not in ("y", "yes"):
        hint = "p2pcall privacy bundle shows it again"
        raise P2PCallError("not-written", "nothing was written", ExitCode.INTERRUPTED, hint)


def bundle(env: Env, home: Home) -> dict[str, Any]:
    """The document."""
    pseudonyms, vault = Pseudonyms(env.entropy), Vault(home)
    kept = _told(lambda: row_counts(vault))
    closed = kept if isinstance(kept, dict) and "error" in kept else None

    def opened(part: Callable[[], object]) -> object:
        """A part that is in the vault; nobody is asked twice to open what does not open."""
        return closed or _told(part)

    return {
        "v": 1,
        "about": ABOUT,
        "made": datetime.fromtimestamp(env.clock.time(), UTC).date().isoformat(),
        "program": _program(),
        "platform": _platform(),
        "terminal": _told(lambda: _terminal(env)),
        "devices": _told(_devices),
        "addresses": _told(lambda: _addresses(pseudonyms)),
        "home": _told(lambda: _home(home)),
        "settings": opened(lambda: _settings(env, home)),
        "kept": kept,
        "ends": opened(lambda: _ends(all_ends(vault))),
        "people": opened(lambda: _people(home, vault, pseudonyms)),
    }


def _told(part: Callable[[], object]) -> object:
    """A part of the document; if it fails, which error that is: a bundle of a broken machine is wanted most."""
    try:
        return part()
    except P2PCallError as error:
        if error.exit is ExitCode.INTERRUPTED:
            raise
        return {"error": error.slug}
    except (OSError, ValueError, RuntimeError) as error:
        return {"error": type(error).__name__}


def _program() -> dict[str, object]:
    """Our version, and those of the libraries that are wanted."""
    try:
        wanted = [one for one in requires("p2pcall") or () if "extra ==" not in one]
    except PackageNotFoundError:
        wanted = []
    names = [re.split(r"[^\w.-]", one, maxsplit=1)[0] for one in wanted]
    libraries = {name: _version(name) for name in sorted(names)}
    return {"p2pcall": __version__, "python": platform.python_version(), "libraries": libraries}


def _version(name: str) -> str | None:
    try:
        return _bare(version(name))
    except PackageNotFoundError:
        return None


def _bare(text: str) -> str:
    """The numbers at the beginning: what follows may be a name that somebody gave to a version of their own."""
    found = _NUMBER.match(text)
    return found[0] if found else ""


def _platform() -> dict[str, str]:
    return {
        "system": platform.system(),
        "release": _bare(platform.release()),
        "machine": platform.machine(),
        "libc": " ".join(platform.libc_ver()).strip(),
    }


def _terminal(env: Env) -> dict[str, object]:
    """What it can do; never what it calls itself."""
    return {
        "input": env.stdin.isatty(),
        "output": env.stdout.isatty(),
        "pictures": [str(mode) for mode in probe(env.environ).modes()],
    }


def _devices() -> dict[str, int]:
    """How many of each kind."""
    kinds = Counter(one.kind for one in list_devices())
    return {kind: kinds[kind] for kind in DEVICE_KINDS}


def _addresses(pseudonyms: Pseudonyms) -> list[dict[str, object]]:
    """The machine's own: a pseudonym, the family and how far it reaches."""
    found: list[dict[str, object]] = []
    for interface in interfaces():
        where = pseudonyms.of("interface", interface.name)
        for one in interface.addresses:
            row = {"address": pseudonyms.of("address", str(one.ip)), "interface": where}
            found.append({**row, "family": one.version, "scope": _scope(one.ip)})
    return found


def _scope(address: IPv4Address | IPv6Address) -> str:
    return next((scope for scope in _SCOPES if getattr(address, f"is_{scope}")), "other")


def _home(home: Home) -> dict[str, object]:
    """The files that we know by name, and how many others there are."""
    vault = home.vault_path
    known = [home.identity_path, vault, *(Path(f"{vault}{side}") for side in SIDES)]
    known += [home.contacts_path, home.settings_path, home.data / ".lock", home.data / "recordings"]
    there = [*home.data.iterdir()] if home.data.is_dir() else []
    recorded = all_recordings(home)
    return {
        "mode": f"{home.data.stat().st_mode & 0o7777:04o}" if home.data.is_dir() else None,
        "files": {path.name: _file(path) for path in known if path.is_file()},
        "others": len(set(there) - set(known)),
        "recordings": {"number": len(recorded), "bytes": sum(path.stat().st_size for path in recorded)},
        "key": str(keeping(home)),
    }


def _file(path: Path) -> dict[str, object]:
    info = path.stat()
    return {"bytes": info.st_size, "mode": f"{info.st_mode & 0o7777:04o}"}


def _settings(env: Env, home: Home) -> dict[str, object]:
    return {one.switch: {"value": one.value, "source": one.source} for one in switch_states(env, home)}


def _ends(ends: Iterable[Ends]) -> dict[str, dict[str, int]]:
    """How many calls ended in which way, of those to others and of those from others."""
    ways: dict[str, Counter[str]] = {"to": Counter(), "from": Counter()}
    for one in ends:
        ways["to" if one.outgoing else "from"][_reason(one)] += one.calls
    return {way: dict(counted) for way, counted in ways.items()}


def _reason(ends: Ends) -> str:
    """The reason, if it is a word of ours."""
    return ends.reason if _WORD.fullmatch(ends.reason) else "other"


def _people(home: Home, vault: Vault, pseudonyms: Pseudonyms) -> list[dict[str, object]]:
    """Those with the most calls: who is the same as whom, and what they are."""
    rows: dict[tuple[str, str], dict[str, Any]] = {}

    def row(printed: str, name: str) -> dict[str, Any]:
        """That of the key; or of the name, if no key was seen."""
        shown = pseudonyms.of("name", name.casefold()) if name else None
        key = pseudonyms.of("key", printed) if printed else None
        new: dict[str, Any] = {"key": key, "name": shown, "contact": False, "calls": 0, "ends": Counter()}
        return rows.setdefault((printed, "" if printed else name.casefold()), new)

    for contact in Contacts(home, vault).all():
        flags = {"contact": True, "verified": contact.verified, "blocked": contact.blocked}
        row(fingerprint(contact.public), contact.name).update(flags)
    for ends in all_ends(vault):
        found = row(ends.fingerprint, ends.name)
        found["calls"] += ends.calls
        found["ends"][_reason(ends)] += ends.calls
    ordered = sorted(rows.values(), key=_calls, reverse=True)
    return ordered[:MOST_PEOPLE]


def _calls(row: Mapping[str, Any]) -> int:
    return int(row["calls"])
