"""A new key in place of the old one, which is kept sealed until all contacts know the new one.

Rules: the old key is kept for at most FORMER_DAYS, and no longer than until the last contact has been told. Contacts
of the time of the change alone are told; to everybody else the old key is gone at once. It is sealed under the new
key, in the same file (`identity_file`), so a crash leaves either the old state or the new one. While contacts are still
to be told there is no second change, unless those are given up. Left out: how they are told (`engine.key_rotation`).
"""

import base64
import json
from collections.abc import Callable, Collection
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace

from p2pcall.errors import ExitCode, P2PCallError
from p2pcall.proto.constants import KEY_BYTES
from p2pcall.store.home import Home, damaged
from p2pcall.store.identity import Identity
from p2pcall.store.identity_file import (
    IdentityFile,
    Keeping,
    in_keyring,
    is_replaced,
    opened,
    plain,
    read_identity,
    replace_identity,
    replaced_meanwhile,
    under_passphrase,
)
from p2pcall.store.recording_keys import keep_recording_key
from p2pcall.store.recordings import DAY_S
from p2pcall.store.seal import Cost, boxed, from_base64, unboxed
from p2pcall.store.vault import Vault
from p2pcall.store.vault_key import sealed_before, vault_key
from p2pcall.types import Entropy

FORMER_DAYS: Final = 30
"""Longest time that an old key is kept: whoever has not called for a month pairs again."""
FORMER_PURPOSE: Final = b"p2pcall former key 1"


class FormerKey(Struct, frozen=True):
    """The key before the present one; `until` is in epoch seconds, `untold` are the contacts' public keys."""

    private: bytes
    until: float
    untold: tuple[bytes, ...] = ()

    def __repr__(self) -> str:
        return f"FormerKey(until={self.until!r}, untold={len(self.untold)})"


class Rotated(Struct, frozen=True):
    """What a change of the key has done."""

    before: Identity
    now: Identity
    former: FormerKey | None


def rotate(
    home: Home,
    entropy: Entropy,
    epoch: float,
    contacts: Callable[[], Collection[bytes]],
    cost: Cost,
    *,
    abandon: bool = False,
    rekey: Callable[[Identity, Identity], None] = lambda before, now: None,
) -> Rotated:
    """Make a new key, kept as the old one was. `contacts` gives the public keys of those to be told.

    It is called when the old key is open. What the old key has recorded stays readable (`recording_keys`).
    `rekey(before, now)` is called when the new key is on disk, and gives the vault its new key; if it does not come to
    that, the next opening of the vault does (`vault_key`). P2PCallError (config) `still-to-tell`: some contacts have
    not been told of the last change, and `abandon` is not given; others as `opened`.
    """
    file = read_identity(home)
    if file is None:
        raise P2PCallError("no-identity", "there is no key to change yet", ExitCode.CONFIG, "p2pcall id")
    seal_anew = _sealing(file, home, entropy, cost)
    before, now = Identity.of(seal_anew.private), Identity.of(entropy(KEY_BYTES))
    if home.opener is not None:
        home.opener.now(before.private, file.text)
    if file.vault:
        Vault(home, lambda: before).check_alone()
        file = replace(file, vault="")
    told_of = tuple(contacts())
    untold = None if abandon else former_key(home, before, epoch)
    if untold is not None:
        text = f"{len(untold.untold)} contacts have not been told of the last change of the key yet"
        hint = "call them first; or p2pcall id rotate --abandon, and they have to pair again"
        raise P2PCallError("still-to-tell", text, ExitCode.CONFIG, hint)
    if not abandon:
        file = replace(file, former="")  # if there was one, that look has erased it
    keep_recording_key(Vault(home, lambda: before), before, epoch)
    former = FormerKey(before.private, epoch + FORMER_DAYS * DAY_S, told_of)
    made = seal_anew.file(now.private, sealed_former(former, now, entropy))
    made = replace(made, vault=sealed_before(vault_key(before), now, entropy))
    with home.lock():
        if read_identity(home) != file:
            raise replaced_meanwhile()
        replace_identity(home, made)
    if home.opener is not None:
        home.opener.now(now.private, made.text)
    rekey(before, now)
    if former.untold:
        return Rotated(before, now, former)
    forget_former(home, now)
    return Rotated(before, now, None)


def former_key(home: Home, identity: Identity, epoch: float) -> FormerKey | None:
    """The key before this one, while contacts have to be told; one whose time is over is erased now.

    P2PCallError (config) if it is damaged.
    """
    file = read_identity(home)
    former = None if file is None or not file.former else _opened(file, identity, home)
    if former is None:
        return None
    if epoch < former.until and former.untold:
        return former
    forget_former(home, identity)
    return None


def forget_former(home: Home, identity: Identity) -> None:
    """Erase the key before this one."""
    _change(home, identity, lambda former: None)


def told(home: Home, identity: Identity, public: bytes, entropy: Entropy) -> None:
    """This contact knows the present key now; with the last one the old key goes."""

    def without(former: FormerKey) -> str | None:
        untold = tuple(one for one in former.untold if one != public)
        return sealed_former(replace(former, untold=untold), identity, entropy) if untold else None

    _change(home, identity, without)


def _change(home: Home, identity: Identity, change: Callable[[FormerKey], str | None]) -> None:
    with home.lock():
        file = read_identity(home)
        if file is not None and file.former:
            former = change(_opened(file, identity, home))
            replace_identity(home, replace(file, former=former or ""))


class _Sealing(Struct, frozen=True):
    """The private key, and how another one is kept in its place: (its private key, the key before it)."""

    private: bytes
    file: Callable[[bytes, str], IdentityFile]

    def __repr__(self) -> str:
        return "_Sealing()"


def _sealing(file: IdentityFile, home: Home, entropy: Entropy, cost: Cost) -> _Sealing:
    """The new key is kept as the old one; a passphrase is asked for once."""
    opener = home.opener
    if file.keeping is Keeping.PASSPHRASE and opener is not None:
        waiting = opener.waiting

        def with_it(passphrase: bytes) -> _Sealing:
            def sealed(private: bytes, former: str) -> IdentityFile:
                with waiting():
                    return under_passphrase(private, passphrase, entropy, cost, former)

            return _Sealing(opened(file, home, passphrase), sealed)

        return opener.with_passphrase(home.identity_path, with_it)
    private = opened(file, home)
    if file.keeping is Keeping.KEYRING:
        return _Sealing(private, lambda private, former: in_keyring(private, entropy, former))
    return _Sealing(private, plain)


def sealed_former(former: FormerKey, identity: Identity, entropy: Entropy) -> str:
    """The line of the identity's file that holds it, without its prefix."""
    box = boxed(json.dumps(former_row(former)).encode(), identity.derived_key(FORMER_PURPOSE), entropy)
    return _b64(box)


def former_row(former: FormerKey) -> dict[str, Any]:
    """It as JSON has it."""
    untold = [_b64(one) for one in former.untold]
    return {"private": _b64(former.private), "until": former.until, "untold": untold}


def former_of(row: dict[str, Any], path: Path) -> FormerKey:
    """What `former_row` has made. P2PCallError (config), or one of the errors of wrong JSON."""
    private, untold = (
        from_base64(row["private"], path),
        tuple(from_base64(one, path) for one in row["untold"]),
    )
    if any(len(key) != KEY_BYTES for key in (private, *untold)):
        raise damaged(path, "a key in it is not whole")
    until = float(row["until"])
    datetime.fromtimestamp(until, UTC)  # ValueError if it is no time
    return FormerKey(private, until, untold)


def _opened(file: IdentityFile, identity: Identity, home: Home) -> FormerKey:
    path = home.identity_path
    data = unboxed(from_base64(file.former, path), identity.derived_key(FORMER_PURPOSE))
    if data is None:
        if is_replaced(home):
            raise replaced_meanwhile()
        raise damaged(path, "the key before it was not sealed by this one")
    return former_of(json.loads(data), path)  # our own words: nobody else can seal them


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode()
