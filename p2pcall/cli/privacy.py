"""`p2pcall privacy`: shows what is kept, exports it, erases it.

Rules: what can be told without a passphrase is told first. An erasure asks at a terminal, for a word that nobody types
by accident; without a terminal, or with `--json`, `--yes` must say it. The receipt says what went, what was left and
why, and what this program cannot erase.
"""

import json as jsonlib
import os
import shlex
import shutil
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Final

from msgspec.structs import replace

from p2pcall.cli.own_key import HOW_KEPT
from p2pcall.cli.stdout import say
from p2pcall.cli.values import usage
from p2pcall.env import Env
from p2pcall.errors import ExitCode, P2PCallError
from p2pcall.store import retention
from p2pcall.store.contacts import Contacts
from p2pcall.store.erase_home import Gone, Receipt, all_files, erase_home
from p2pcall.store.erase_person import erase_person, finish, no_traces, person_meant, traces
from p2pcall.store.home import Home, file_error
from p2pcall.store.home_use import alone, check_whole, is_half_erased
from p2pcall.store.identity import load_or_create
from p2pcall.store.identity_file import IdentityFile, Keeping, keyring_entry, read_identity
from p2pcall.store.inventory import KEPT, Found, Guard, Kept, Retention, days_kept, look
from p2pcall.store.recordings import erase_recording, expired
from p2pcall.store.vault import Vault
from p2pcall.view.sanitize import clean

GUARDED: Final = {
    Guard.VAULT: "yes (ChaCha20-Poly1305), under a key made from your private key",
    Guard.RECORDING: "yes (XChaCha20-Poly1305), each under a key of its own, sealed under one of your private key",
    Guard.PASSPHRASE: "yes, under a passphrase of its own",
    Guard.KEYRING: "as the keyring of this machine does it",
    Guard.NONE: "no: only you can read the file",
}
FOR_HOW_LONG: Final = {
    Retention.USER: "until you take it away",
    Retention.PROGRAM: "as long as the program needs it",
}
NOT_LISTED: Final = (
    "not listed, because nobody remembers where: files that you had written elsewhere, as backups (id backup), "
    "recordings (--record), exports, and outputs of calls"
)
NOWHERE: Final = (
    "never kept: what is said, seen or typed in a call that is not recorded; "
    "addresses, but for those that you have dialled"
)
THE_DISK: Final = (
    "erased means overwritten and removed; a flash memory, a snapshot, a file system that copies on writing, or a "
    "backup of this machine may keep older copies: what was sealed there stays sealed"
)
BEYOND: Final = (
    "files that were written elsewhere are not erased: a backup (id backup) still has your key and contacts and opens "
    "with its passphrase; exports and outputs of calls can be read; recordings there open only with a backup's key"
)
BEYOND_PERSON: Final = (
    "files that were written elsewhere are not erased: recordings (--record), backups and exports with that person; "
    "and what the other side keeps is theirs"
)
ERASE_WORD: Final = "erase"
EXPORT_MODE: Final = 0o600
KIBIBYTE: Final = 1024
MIN_COLUMNS: Final = 80
"""Of a line of text; also where there is no terminal."""
PATH_CELLS: Final = 4096
"""The longest path that Linux takes: what is erased is named in full."""
_IN_VAULT: Final = "yes, in the vault"
_KINDS: Final = {one.kind: one for one in KEPT}


# ---- the overview


def show_kept(env: Env, home: Home, *, json: bool) -> ExitCode:
    """`p2pcall privacy`."""
    vault = Vault(home)
    file = _identity_file(home)
    absent = []
    for found in _looked(env, home, vault, file):
        if json:
            _record(env, **_row(found, _days(vault, found.kept), file))
        elif found.count:
            _describe(env, found, _days(vault, found.kept), file)
        else:
            absent.append(found.kept.kind)
    if not json:
        if absent:
            _write(env, "", f"nothing is kept now of: {', '.join(absent)}")
        for text in (NOT_LISTED, NOWHERE):
            _write(env, "", text)
    return ExitCode.OK


def _looked(env: Env, home: Home, vault: Vault, file: IdentityFile | None) -> Iterator[Found]:
    """What is there; what is too old is erased first, as far as no key is needed."""
    for path in expired(home, env.clock.time()):
        with suppress(P2PCallError):  # on a disk that is only read, say: it is listed
            erase_recording(path)
    yield from look(home, vault, None if file is None else keyring_entry(file))


def _identity_file(home: Home) -> IdentityFile | None:
    """None also if it cannot be read: whoever needs it says why."""
    with suppress(P2PCallError):
        return read_identity(home)
    return None


def _days(vault: Vault, kept: Kept) -> int | None:
    """For how many days it is kept, if that is a number."""
    return days_kept(kept, retention.kept_days(vault) if kept.query else 0)


def _how_long(kept: Kept, days: int | None) -> str:
    if days is None:
        return FOR_HOW_LONG[kept.retention]
    most = "at most " if kept.retention is Retention.RECORDINGS else ""
    return f"for {most}{days} {'day' if days == 1 else 'days'} each"


def _guarded(kept: Kept, file: IdentityFile | None) -> str:
    """How it is encrypted, in words."""
    keeping = Keeping.PLAIN if file is None else file.keeping
    if kept.guard is Guard.IDENTITY:
        return HOW_KEPT[keeping]
    words = GUARDED[kept.guard]
    if kept.guard in (Guard.VAULT, Guard.RECORDING) and keeping is Keeping.PLAIN:
        words += ", which is kept plain: whoever can read this disk can read it (p2pcall id passphrase)"
    return words


def _row(found: Found, days: int | None, file: IdentityFile | None) -> dict[str, object]:
    kept = found.kept
    return {
        "kind": kept.kind,
        "what": kept.what,
        "where": list(found.where),
        "why": kept.why,
        "count": found.count,
        "bytes": found.size,
        "since": found.since,
        "until": found.until,
        "how_long": _how_long(kept, days),
        "encrypted": _guarded(kept, file),
    }


def _describe(env: Env, found: Found, days: int | None, file: IdentityFile | None) -> None:
    kept = found.kept
    until = _how_long(kept, days) + ("" if found.until is None else f", the last until {_day(found.until)}")
    lines = {
        "what": kept.what,
        "why": kept.why,
        "how much": f"{found.count}" + (f" ({_size(found.size)})" if found.size else ""),
        "where": ", ".join(map(_shown, found.where)) or "-",
        "since": "not noted" if found.since is None else _day(found.since),
        "until": until,
        "encrypted": _IN_VAULT if kept.query else _guarded(kept, file),
    }
    env.stdout.write(f"{kept.kind}\n")
    for label, text in lines.items():
        _write(env, f"  {label:<11}", text)


def _shown(text: str | Path) -> str:
    """A path, or text with one, in full."""
    return clean(str(text), PATH_CELLS)


def _write(env: Env, label: str, text: str) -> None:
    """A labelled text, over as many lines as it needs; a path is not divided."""
    wide = max(MIN_COLUMNS, shutil.get_terminal_size().columns) if env.stdout.isatty() else MIN_COLUMNS
    lines = textwrap.wrap(text, wide - len(label), break_long_words=False, break_on_hyphens=False)
    env.stdout.write(f"{label}" + f"\n{'':<{len(label)}}".join(lines) + "\n")


def _size(size: int) -> str:
    return f"{size} bytes" if size < KIBIBYTE else f"{size / KIBIBYTE:,.0f} KiB"


def _day(epoch: float) -> str:
    return datetime.fromtimestamp(epoch).astimezone().strftime("%Y-%m-%d")


def _record(env: Env, **row: object) -> None:
    env.stdout.write(jsonlib.dumps({"v": 1, **row}, separators=(",", ":")) + "\n")


# ---- the export


def print_schema(env: Env, file: str | None) -> ExitCode:
    """`p2pcall privacy export --schema`."""
    from p2pcall.store.export import SCHEMA_FILE

    if file is not None:
        raise usage("--schema takes no FILE: it goes to standard output")
    env.stdout.write(SCHEMA_FILE.read_text())
    return ExitCode.OK


def export_all(env: Env, home: Home, file: str | None) -> ExitCode:
    """`p2pcall privacy export`."""
    import msgspec

    from p2pcall.store.export import exported

    path = None if file in (None, "-") else Path(str(file)).expanduser().absolute()
    if path is not None and (path.exists() or path.is_symlink()):
        raise _there_already(path)
    vault = Vault(home)
    retention.enforce(vault, env.clock.time())
    identity = None if read_identity(home) is None else load_or_create(home, env.entropy)
    document = exported(home, vault, identity, env.clock.time(), _shown)
    data = msgspec.json.format(msgspec.json.encode(document), indent=1) + b"\n"
    if path is None:
        env.stdout.write(data.decode())
        return ExitCode.OK
    _write_new(path, data)
    say(env, f"{_shown(path)} has all that is kept, but for keys and secrets; it is not encrypted")
    return ExitCode.OK


def _write_new(path: Path, data: bytes) -> None:
    """A file that was not there, for the user alone; nothing is left of it if it cannot be written."""
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, EXPORT_MODE)
        try:
            with os.fdopen(fd, "wb") as out:
                out.write(data)
                out.flush()
                os.fsync(out.fileno())
        except BaseException:
            path.unlink(missing_ok=True)
            raise
    except FileExistsError as error:
        raise _there_already(path) from error
    except OSError as error:
        raise file_error(error, path, "write") from error


def _there_already(path: Path) -> P2PCallError:
    text = f"{_shown(path)} is there already, and is not overwritten"
    return P2PCallError("file-exists", text, ExitCode.USAGE, "give another name")


# ---- the erasure


def erase_kept(env: Env, home: Home, who: str | None, *, everything: bool, yes: bool, json: bool) -> ExitCode:
    """`p2pcall privacy erase`."""
    if who is not None and everything:
        raise usage("--contact and --all: one or the other")
    resumes = is_half_erased(home)
    if who is None and not everything and not resumes:
        raise usage("what is to be erased: --contact WHO, or --all", "p2pcall privacy")
    with alone(home):
        if who is None:
            receipt, beyond = _all_erased(env, home, yes=yes or resumes, json=json), BEYOND
        else:
            receipt, beyond = _person_erased(env, home, who, yes=yes, json=json), BEYOND_PERSON
    if receipt.resumed:
        say(env, "an erasure that was interrupted is finished")
    _print_receipt(env, home, receipt, beyond, json=json)
    return ExitCode.OK


def _all_erased(env: Env, home: Home, *, yes: bool, json: bool) -> Receipt:
    """`yes` also if an interrupted erasure goes on: its question was answered then."""
    ours, others = all_files(home)
    if ours and not yes:
        told = [f"{_shown(path)}: {kept.what}" for path, kept in ours if kept.kind != "locks"]
        told += [f"{_shown(path)}: stays, it is no file of this program's" for path in others]
        _ask(env, [*told, "nobody can undo this; your contacts will not know your next key"], None, json=json)
    return erase_home(home)


def _person_erased(env: Env, home: Home, who: str, *, yes: bool, json: bool) -> Receipt:
    check_whole(home)
    vault = Vault(home)
    try:
        resumed = finish(vault)
        person = person_meant(Contacts(home, vault), who)
        seen = traces(home, vault, person)
        found = seen.gone(home)
        if not found and not resumed:
            raise no_traces(clean(who), len(seen.unknown))
        if found and not yes:
            _ask(env, [f"{one.count} of {one.kind}: {_shown(one.where)}" for one in found], who, json=json)
        return replace(erase_person(home, vault, person, env.clock.time()), resumed=resumed)
    finally:
        vault.close()


def _ask(env: Env, told: Sequence[str], who: str | None, *, json: bool) -> None:
    """Ask a person who is told what goes; `who` None: all. P2PCallError (usage) if nobody can be asked.

    P2PCallError (interrupted) if the answer is another word.
    """
    what = "all of it" if who is None else clean(who)
    if json or not (env.stdin.isatty() and env.stdout.isatty()):
        why = "with --json nobody is asked" if json else "that needs a terminal, and there is none"
        option = "--all" if who is None else f"--contact {shlex.quote(who)}"
        raise usage(f"whether to erase {what}: {why}", f"p2pcall privacy erase --yes {option}")
    env.stdout.write("what goes, for good:\n")
    for line in told:
        _write(env, "  ", line)
    env.stdout.write(f"to erase {what}, type {ERASE_WORD}, then Enter; anything else changes nothing: ")
    env.stdout.flush()
    if env.stdin.readline().strip().lower() != ERASE_WORD:
        raise P2PCallError("not-erased", "nothing was erased", ExitCode.INTERRUPTED, "p2pcall privacy")


def _print_receipt(env: Env, home: Home, receipt: Receipt, beyond: str, *, json: bool) -> None:
    remains = [beyond, THE_DISK] if receipt.gone else []
    if json:
        gone = [{"kind": one.kind, "where": one.where, "count": one.count} for one in receipt.gone]
        _record(
            env,
            home=str(home.data),
            erased=gone,
            left=list(receipt.left),
            may_remain=remains,
            resumed=receipt.resumed,
        )
        return
    for one in receipt.gone:
        _write(env, "erased  ", _told(one))
    for text in receipt.left:
        _write(env, "left    ", _shown(text))
    for text in remains:
        _write(env, "note    ", text)
    if not receipt.gone and not receipt.resumed:
        say(env, f"there is nothing of p2pcall's in {_shown(home.data)}")


def _told(gone: Gone) -> str:
    many = f"{gone.count} of " if gone.count > 1 else ""
    return f"{many}{gone.kind} ({_KINDS[gone.kind].what}): {_shown(gone.where)}"
