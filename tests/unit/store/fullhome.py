"""A home with everything in it that a home can hold."""

import os
from pathlib import Path

import msgspec

from p2pcall.factor.safe_word import safe_word
from p2pcall.store import retention
from p2pcall.store.backup import back_up
from p2pcall.store.calllog import CallLog, LoggedCall
from p2pcall.store.consent_log import Consent, keep_consent
from p2pcall.store.contacts import Contacts
from p2pcall.store.factors import Factors
from p2pcall.store.home import Home, write_atomic
from p2pcall.store.identity import Identity, fingerprint, load_or_create
from p2pcall.store.identity_file import IdentityFile, replace_identity, under_passphrase
from p2pcall.store.kept_devices import KeptDevices, keep_devices
from p2pcall.store.opener import IdentityOpener
from p2pcall.store.private_settings import PrivateSetting, keep_setting
from p2pcall.store.recording_keys import recording_key
from p2pcall.store.recordings import (
    Party,
    RecordingHead,
    make_recording,
    recordings_folder,
)
from p2pcall.store.rotation import rotate
from p2pcall.store.seal import Cost
from p2pcall.store.sealed import SealedWriter
from p2pcall.store.vault import Vault
from p2pcall.store.vault_key import vault_key

BOB, EVE = bytes([1] * 32), bytes([2] * 32)
BOBS, EVES = fingerprint(BOB), fingerprint(EVE)
NOW = 1_800_000_000.0
PASSPHRASE = b"correct horse battery"
CHEAP = Cost(1, 8)
LEFTOVERS = (
    *(".identity.key.abcd1234", "identity.key.damaged", ".settings.json.abcd1234", "contacts.json"),
    ".devices.json.abcd1234",
    *(".contacts.json.old", ".contacts.json.abcd1234", ".store.db.new", ".store.db.new-wal"),
    *("store.db-journal", "store.db-wal.old", "store.db-shm.old", "store.db.damaged"),
)
"""What crashes, older versions and the program's own advice leave."""


def locked(folder: Path, passphrase: bytes = PASSPHRASE) -> Home:
    """The home, and the passphrase at hand."""
    return Home(folder, folder, IdentityOpener(lambda path: passphrase))


def seal_identity(home: Home, passphrase: bytes = PASSPHRASE) -> Identity:
    """The identity, sealed."""
    identity = load_or_create(home, os.urandom)
    file: IdentityFile = under_passphrase(identity.private, passphrase, os.urandom, CHEAP)
    with home.lock():
        replace_identity(home, file)
    return identity


def record(home: Home, path: Path, name: str, key: bytes, said: bytes = b"\x01" + bytes(8)) -> Path:
    """A recording of a call with that person."""
    path.parent.mkdir(mode=0o700, exist_ok=True)
    owner = recording_key(load_or_create(home, os.urandom))
    head = RecordingHead("call", "hash", Party("me", "00"), Party(name, key.hex()), NOW, NOW + 1, 30)
    with make_recording(path) as file:
        writer = SealedWriter(file, owner, 1 << 40, os.urandom)
        writer.write(msgspec.json.encode(head))
        writer.write(said, last=True)
    return path


def fill(home: Home) -> Vault:
    """Put everything into the vault and the folder of recordings, about Bob and about Eve; the vault stays open."""
    vault = Vault(home)
    contacts, log, factors = Contacts(home, vault), CallLog(vault), Factors(vault)
    for name, key in (("Boris Rosenthal", BOB), ("eve", EVE)):
        contacts.pin(name, key, NOW)
        factors.require(key, bytes(range(20)))
        factors.judge(key, b"000000", NOW, unasked=False)
        factors.set_word(key, safe_word(f"marmalade of {name}"))
        contacts.block(fingerprint(bytes([9]) + key[1:]), NOW)
        log.add(LoggedCall(NOW, True, name, fingerprint(key), "contact", 3.0, "hung-up"))
        keep_consent(vault, Consent(NOW, "call-of-" + name, name, fingerprint(key), "sound", "given"))
        record(home, recordings_folder(home) / f"{key.hex()[:16]}.p2prec", name, key)
        with vault.writing() as db:
            db.execute(
                "INSERT INTO requests(key, fingerprint, claimed, at, last, calls, origin)"
                " VALUES(?, ?, ?, ?, ?, 3, x'00')",
                (key, fingerprint(key), name, NOW, NOW + 5),
            )
    factors.require_unasked(bytes(range(20)))
    factors.judge(bytes([7] * 32), b"000000", NOW, unasked=True)
    retention.keep_days(vault, 29, NOW)
    keep_devices(home, KeptDevices("headset", "loudspeaker"))
    return vault


def everything(folder: Path) -> Vault:
    """A home that holds all that it can: the key before this one is still to be told, and crashes have left traces."""
    home = locked(folder)
    seal_identity(home)
    vault = fill(home)
    vault.close()
    contacts = Contacts(home, vault)
    untold = [one.public for one in contacts.all()]
    vault.close()
    rotate(
        *(home, os.urandom, NOW, lambda: untold, CHEAP),
        rekey=lambda before, now: Vault(home, lambda: before).rekey(vault_key(now)),
    )
    back_up(home, folder / "mine.txt", PASSPHRASE, os.urandom, CHEAP, NOW, force=False)
    record(home, folder / "recorded by name", "eve", EVE)
    for name in LEFTOVERS:
        write_atomic(folder / name, b"left by a crash")
    for name in ("contacts.json", "store.db-journal"):  # beside a vault that is opened they mean something
        (folder / name).unlink()
    vault = Vault(home)
    for setting in PrivateSetting:
        keep_setting(vault, setting, 5)
    with vault.writing() as db:
        db.execute("REPLACE INTO settings VALUES('erasing', 1)")
        db.execute("REPLACE INTO settings VALUES('contacts-file', x'00')")
    with vault.reading() as db:
        assert db is not None
    return vault
