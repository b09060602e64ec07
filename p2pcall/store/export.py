"""All that is kept about the user and about others, as one document that people and programs can read.

Rules: the document has the form that `export.schema.json` describes, which is made from the records here (a test holds
the two together). It has no private key, no secret of codes, and no safe word, and says so itself (`left_out`). Text
that came from other people is cleaned. Times are seconds since the epoch. Left out: what recordings hold (`play --to`).
"""

import base64
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta, Struct
from msgspec.structs import asdict

from p2pcall.store import retention
from p2pcall.store.calllog import CallLog
from p2pcall.store.choices import kept_reach
from p2pcall.store.consent_log import kept_consents
from p2pcall.store.contact import Contact
from p2pcall.store.contacts import Contacts
from p2pcall.store.erase_person import recording_heads
from p2pcall.store.factors import Factors
from p2pcall.store.home import Home
from p2pcall.store.identity import Identity, fingerprint, keeping
from p2pcall.store.inventory import CHOICES
from p2pcall.store.kept_devices import kept_devices
from p2pcall.store.recordings import DAY_S, recording_until
from p2pcall.store.rotation import former_key
from p2pcall.store.vault import Vault

SCHEMA_FILE: Final = Path(__file__).with_name("export.schema.json")
SCHEMA_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
DOCUMENT_VERSION: Final = 1
LEFT_OUT: Final = (
    "the private key, and one before it: p2pcall id backup keeps them",
    "the secrets of codes, and safe words: only whether there is one",
    "what recordings hold: p2pcall play --to writes it",
    "files that were written elsewhere: backups, recordings, other exports",
)


_Key = Annotated[str, Meta(description="A public key, in base64.")]
_Fingerprint = Annotated[str, Meta(description="Of the other side's public key; empty if none was seen.")]
_Time = Annotated[float, Meta(description="In seconds since the epoch.")]
_Until = Annotated[float, Meta(description="When it is erased, in seconds since the epoch.")]


class ExportedIdentity(Struct, frozen=True, forbid_unknown_fields=True):
    """Who the user is to others."""

    fingerprint: _Fingerprint
    key: _Key
    kept: Annotated[str, Meta(description="How the private key is kept: plain, passphrase or keyring.")]
    untold: Annotated[
        list[str],
        Meta(description="Fingerprints of contacts who have not been told of the last change of the key."),
    ]


class ExportedContact(Struct, frozen=True, forbid_unknown_fields=True):
    """A person whose key is kept."""

    name: str
    fingerprint: _Fingerprint
    key: _Key
    added: _Time
    verified: bool
    blocked: bool
    host: Annotated[bool, Meta(description="The name is a host name, too.")]
    may_ring: bool
    sound_unasked: bool
    picture_unasked: bool
    sees_announced: bool
    code: Annotated[bool, Meta(description="A code is wanted of them; its secret is not here.")]
    safe_word: Annotated[bool, Meta(description="A safe word is set; it is not here.")]


class ExportedBlock(Struct, frozen=True, forbid_unknown_fields=True):
    """A key that is blocked."""

    fingerprint: _Fingerprint
    added: _Time


class ExportedCall(Struct, frozen=True, forbid_unknown_fields=True):
    """An entry of the call log."""

    at: _Time
    outgoing: bool
    name: str
    fingerprint: _Fingerprint
    known: str
    duration_s: float
    reason: str
    calls: int
    until: _Until


class ExportedConsent(Struct, frozen=True, forbid_unknown_fields=True):
    """What somebody has agreed to in a call, refused or taken back."""

    at: _Time
    call: str
    name: str
    fingerprint: _Fingerprint
    kind: str
    state: str
    by: Annotated[str, Meta(description="local or remote")]
    until: _Until


class ExportedRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """A stranger who rang and was not answered."""

    name: Annotated[str, Meta(description="As they have claimed it.")]
    fingerprint: _Fingerprint
    key: _Key
    at: _Time
    last: _Time
    calls: int
    until: _Until


class ExportedRecording(Struct, frozen=True, forbid_unknown_fields=True):
    """A recording in the home; what is null cannot be read with this key."""

    file: str
    bytes: int
    until: _Until | None
    name: str | None
    fingerprint: _Fingerprint | None
    call: str | None
    asked: _Time | None
    agreed: _Time | None


class ExportedSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """What the user has chosen; null: nothing."""

    reach: Annotated[str | None, Meta(description="Who can ring.")]
    history_days: Annotated[int, Meta(description="For how many days calls are kept.")]
    code_of_unasked: Annotated[
        bool,
        Meta(description="A code is wanted of whoever is answered without asking; its secret is not here."),
    ]
    chosen: Annotated[
        dict[str, int | str],
        Meta(description="What the user has lastingly chosen, by its name in the vault."),
    ]
    microphone: Annotated[str | None, Meta(description="The one that calls use.")]
    speaker: Annotated[str | None, Meta(description="The one that calls use.")]


class Export(Struct, frozen=True, forbid_unknown_fields=True):
    """All that p2pcall keeps in this home about its user and about others. Times are seconds since the epoch."""

    v: int
    exported: _Time
    home: str
    left_out: list[str]
    identity: ExportedIdentity | None
    settings: ExportedSettings
    contacts: list[ExportedContact]
    blocked: list[ExportedBlock]
    calls: list[ExportedCall]
    consents: list[ExportedConsent]
    requests: list[ExportedRequest]
    recordings: list[ExportedRecording]


def schema() -> bytes:
    """The JSON Schema of the document, as `SCHEMA_FILE` has it."""
    document = {"$schema": SCHEMA_DIALECT, **msgspec.json.schema(Export)}
    return msgspec.json.format(msgspec.json.encode(document), indent=1) + b"\n"


def exported(
    home: Home, vault: Vault, identity: Identity | None, now_epoch: float, clean: Callable[[str], str]
) -> Export:
    """The document. `clean` takes from text what could steer a terminal. P2PCallError (config)."""
    contacts, factors = Contacts(home, vault), Factors(vault)
    days = retention.kept_days(vault)
    return Export(
        DOCUMENT_VERSION,
        now_epoch,
        clean(str(home.data)),
        list(LEFT_OUT),
        None if identity is None else _identity(home, identity, now_epoch),
        _settings(home, vault, days, clean),
        [_contact(one, factors, clean) for one in contacts.all()],
        [ExportedBlock(key, at) for key, at in sorted(contacts.blocked().items())],
        [
            ExportedCall(**{**asdict(one), "name": clean(one.name)}, until=one.at + days * DAY_S)
            for one in CallLog(vault).newest(now_epoch)
        ],
        [
            ExportedConsent(**{**asdict(one), "name": clean(one.name)}, until=one.at + days * DAY_S)
            for one in kept_consents(vault)
        ],
        _requests(vault, clean),
        _recordings(home, vault, clean),
    )


def _identity(home: Home, identity: Identity, now_epoch: float) -> ExportedIdentity:
    former = former_key(home, identity, now_epoch)
    untold = [] if former is None else [fingerprint(key) for key in former.untold]
    return ExportedIdentity(identity.fingerprint, _b64(identity.public), str(keeping(home)), untold)


def _chosen(vault: Vault) -> dict[str, int | str]:
    with vault.reading() as db:
        rows: Any = () if db is None else db.execute("SELECT name, value FROM settings")
        return {name: value for name, value in rows if name in CHOICES}


def _contact(contact: Contact, factors: Factors, clean: Callable[[str], str]) -> ExportedContact:
    row: dict[str, Any] = {**asdict(contact), "name": clean(contact.name)}
    public = row.pop("public")
    code, word = factors.required(public, unasked=False), factors.word(public) is not None
    return ExportedContact(
        fingerprint=fingerprint(public), key=_b64(public), code=code, safe_word=word, **row
    )


def _settings(home: Home, vault: Vault, days: int, clean: Callable[[str], str]) -> ExportedSettings:
    reach, devices = kept_reach(home), kept_devices(home)
    microphone, speaker = (
        None if name is None else clean(name) for name in (devices.microphone, devices.speaker)
    )
    return ExportedSettings(
        None if reach is None else str(reach),
        days,
        Factors(vault).unasked(),
        _chosen(vault),
        microphone,
        speaker,
    )


def _requests(vault: Vault, clean: Callable[[str], str]) -> list[ExportedRequest]:
    with vault.reading() as db:
        query = "SELECT claimed, key, at, last, calls FROM requests ORDER BY at"
        rows: Any = [] if db is None else db.execute(query)
        until = retention.request_days(vault) * DAY_S
        return [
            ExportedRequest(clean(str(name)), fingerprint(key), _b64(key), at, last, calls, at + until)
            for name, key, at, last, calls in rows
        ]


def _recordings(home: Home, vault: Vault, clean: Callable[[str], str]) -> list[ExportedRecording]:
    found = []
    for path, head in recording_heads(home, vault):
        size, until = path.lstat().st_size, recording_until(path)
        if head is None:
            found.append(ExportedRecording(clean(str(path)), size, until, None, None, None, None, None))
            continue
        printed = fingerprint(bytes.fromhex(head.other.key))
        whose = clean(head.other.name), printed, head.call, head.asked_at, head.agreed_at
        found.append(ExportedRecording(clean(str(path)), size, until, *whose))
    return found


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode()
