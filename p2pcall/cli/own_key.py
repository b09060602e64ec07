"""The commands about one's own key: `id`, and `id passphrase`, `backup`, `restore` and `rotate`.

Rules: nothing is asked where there is no terminal; a key that is kept plain is told as plain; a failure changes
nothing. With `--json` each prints one record. No record and no sentence has a secret.
"""

import json as jsonlib
import time
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from p2pcall.cli.options import own_name
from p2pcall.cli.passphrase import new_passphrase, opened_by_passphrase, spinner
from p2pcall.cli.qr import show_qr
from p2pcall.cli.stdout import say
from p2pcall.cli.values import usage
from p2pcall.env import Env
from p2pcall.errors import ExitCode, P2PCallError
from p2pcall.store.home import Home
from p2pcall.store.identity import Identity, keeping, load_or_create
from p2pcall.store.identity_file import (
    Keeping,
    in_keyring,
    plain,
    read_identity,
    replace_identity,
    under_passphrase,
)
from p2pcall.view.sanitize import clean

if TYPE_CHECKING:
    from p2pcall.store.seal import Cost
    from p2pcall.store.vault import Vault

HOW_KEPT: Final = {
    Keeping.PLAIN: "plain: whoever can read this disk has your key (p2pcall id passphrase)",
    Keeping.PASSPHRASE: "sealed under your passphrase",
    Keeping.KEYRING: "sealed; the keyring of this machine opens it",
}


def _record(env: Env, **row: object) -> None:
    env.stdout.write(jsonlib.dumps({"v": 1, **row}, separators=(",", ":")) + "\n")


def _cost() -> "Cost":
    from p2pcall.store.seal import tuned

    return tuned(time.perf_counter)


def show_identity(env: Env, home: Home, *, json: bool) -> ExitCode:
    """`p2pcall id`."""
    from p2pcall.engine.trust import TrustStore
    from p2pcall.store.contacts import Contacts
    from p2pcall.store.rotation import former_key

    identity = load_or_create(home, env.entropy)
    uri, kept = TrustStore(Contacts(home), identity.public).own_uri(), keeping(home)
    former = former_key(home, identity, env.clock.time())
    untold = 0 if former is None else len(former.untold)
    if json:
        row = {"name": own_name(None), "fingerprint": identity.fingerprint, "uri": uri}
        _record(env, **row, kept=str(kept), untold=untold)
        return ExitCode.OK
    rows = {"name": own_name(None), "fingerprint": identity.fingerprint, "uri": uri, "kept": HOW_KEPT[kept]}
    if former is not None:
        until = datetime.fromtimestamp(former.until, UTC).date().isoformat()
        rows["to be told"] = f"{untold} of your contacts know the key before this one, until {until}"
    env.stdout.write("".join(f"{label:<13}{value}\n" for label, value in rows.items()))
    show_qr(env, uri)
    return ExitCode.OK


def change_passphrase(
    env: Env, home: Home, *, new_file: str | None, keyring: bool, remove: bool, json: bool
) -> ExitCode:
    """`p2pcall id passphrase`: seal the key under a new passphrase, or the keyring, or take the seal away."""
    if keyring + remove + (new_file is not None) > 1:
        raise usage("one of --keyring, --remove and --new-passphrase-file", "p2pcall id passphrase --help")
    before = read_identity(home)  # first: while the passphrase is typed another process may change the key
    identity = load_or_create(home, env.entropy)
    before = read_identity(home) if before is None else before
    former = "" if before is None else before.former
    vault = "" if before is None else before.vault
    if remove:
        made = plain(identity.private, former)
    elif keyring:
        made = in_keyring(identity.private, env.entropy, former)
    else:
        passphrase = new_passphrase(env, new_file, "your key")
        with spinner(env):
            made = under_passphrase(identity.private, passphrase, env.entropy, _cost(), former)
    with home.lock():
        if read_identity(home) != before:
            raise usage(
                "another process has changed the key at the same time; nothing was changed", "p2pcall id"
            )
        replace_identity(home, replace(made, vault=vault))
    if json:
        _record(env, fingerprint=identity.fingerprint, kept=str(made.keeping))
    else:
        say(env, f"your key is kept {HOW_KEPT[made.keeping]}")
    return ExitCode.OK


def back_up_identity(
    env: Env, home: Home, file: str, *, new_file: str | None, force: bool, json: bool
) -> ExitCode:
    """`p2pcall id backup`: the key and the contacts in one file, sealed under a passphrase of its own."""
    from p2pcall.store.backup import back_up, check_no_file

    path = Path(file).expanduser().absolute()
    check_no_file(path, force=force)
    load_or_create(home, env.entropy)  # its passphrase is asked for first
    passphrase = new_passphrase(env, new_file, "the backup")
    with spinner(env):
        count = back_up(home, path, passphrase, env.entropy, _cost(), env.clock.time(), force=force)
    if json:
        _record(env, file=str(path), contacts=count)
    else:
        say(
            env,
            f"{clean(str(path))} has your key and {count} contacts, sealed under its passphrase",
        )
    return ExitCode.OK


def restore_identity(
    env: Env, home: Home, file: str, *, passphrase_file: str | None, force: bool, json: bool
) -> ExitCode:
    """`p2pcall id restore`: the key and the contacts of a backup, on this machine or another one."""
    from p2pcall.store.backup import check_no_identity, read_backup, restore, sealed_backup

    path = Path(file).expanduser().absolute()
    if not force:
        check_no_identity(home)
    sealed = sealed_backup(path)
    backup, passphrase = opened_by_passphrase(
        env, passphrase_file, path, lambda given: (read_backup(path, sealed, given), given)
    )
    with spinner(env):
        restored = restore(home, backup, passphrase, env.entropy, _cost(), env.clock.time(), force=force)
    left_out = [clean(name) for name in restored.left_out]
    if json:
        printed = restored.identity.fingerprint
        _record(env, fingerprint=printed, made=backup.made, contacts=restored.contacts, left_out=left_out)
        return ExitCode.OK
    made = datetime.fromtimestamp(backup.made, UTC).date().isoformat()
    say(env, f"restored: the key {restored.identity.fingerprint} and {restored.contacts} contacts, of {made}")
    say(env, "your key is kept sealed under the passphrase of the backup")
    if left_out:
        say(
            env,
            f"left out, because the name or the key is kept or blocked here already: {', '.join(left_out)}",
        )
    return ExitCode.OK


def rotate_identity(env: Env, home: Home, *, abandon: bool, json: bool) -> ExitCode:
    """`p2pcall id rotate`: a new key; each contact is told in the next call."""
    from p2pcall.store.contacts import Contacts
    from p2pcall.store.rotation import FORMER_DAYS, rotate
    from p2pcall.store.vault import Vault

    vault = Vault(home)

    def to_tell() -> list[bytes]:
        vault.check_alone()
        return [one.public for one in Contacts(home, vault).all() if not one.blocked]

    now_epoch, anew = env.clock.time(), partial(rekey, env, vault)
    rotated = rotate(home, env.entropy, now_epoch, to_tell, _cost(), abandon=abandon, rekey=anew)
    printed, count = rotated.now.fingerprint, 0 if rotated.former is None else len(rotated.former.untold)
    if json:
        _record(env, fingerprint=printed, before=rotated.before.fingerprint, untold=count)
        return ExitCode.OK
    say(env, f"your new key: {printed}")
    if count:
        say(
            env,
            f"{count} {'contact is' if count == 1 else 'contacts are'} told in the next call with each, "
            f"if that is within {FORMER_DAYS} days",
        )
    return ExitCode.OK


def rekey(env: Env, vault: "Vault", before: Identity, now: Identity) -> None:
    """What is keyed by the identity is keyed anew, after a change of the key: the vault, which `before` opens.

    If that cannot be done now, the next opening of the vault does it.
    """
    from p2pcall.store.vault_key import vault_key

    try:
        vault.rekey(vault_key(now))
    except P2PCallError as error:
        say(env, f"the key is changed, but not yet that of the contacts and the call log: {error.text}")
        say(env, "the next start changes it")
