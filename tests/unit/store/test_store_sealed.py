"""A sealed identity: opened by its passphrase or the keyring alone, never lost, and never worth a flood of memory."""

import base64
import hashlib
import os
import stat
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from fakeenv import seeded_entropy
from nacl import bindings

from p2pcall.errors import ExitCode, P2PCallError
from p2pcall.store import seal as sealing
from p2pcall.store.home import Home
from p2pcall.store.identity import Identity, keeping, load_or_create, unlock
from p2pcall.store.identity_file import (
    IdentityFile,
    Keeping,
    in_keyring,
    plain,
    read_identity,
    replace_identity,
    under_passphrase,
)
from p2pcall.store.opener import IdentityOpener
from p2pcall.store.seal import Cost, boxed, seal, tuned, unboxed, unseal

CHEAP = Cost(1, 8)
PASSPHRASE = b"correct horse battery"
PRIVATE = bytes(range(32))
GOLDEN = """\
# the private key of p2pcall, sealed under your passphrase
p2pcall-sealed-1:argon2id:3:1024:9bFlIkpYt5HfavHYMD5hzQ==:\
xLuGw9HEJxA8NExBiesvHnvV1H5Eb87CYCQkgI+RXEvKvaMkFq91sXCXOdnBlTBFDDdfunzek75e/s/3TrlfdwM1aPOAqwdq
"""


def asked(home: Path, passphrase: bytes = PASSPHRASE) -> Home:
    """A home whose owner says this passphrase."""
    return Home(home, home, IdentityOpener(lambda path: passphrase))


def kept(home: Path, text: str) -> Home:
    """A home with this identity file."""
    home.mkdir(mode=0o700, exist_ok=True)
    place = asked(home)
    place.identity_path.write_text(text)
    place.identity_path.chmod(0o600)
    return place


def sealed(home: Path) -> Home:
    """A home with a sealed identity."""
    place = asked(home)
    file = under_passphrase(PRIVATE, PASSPHRASE, seeded_entropy(1), CHEAP)
    with place.lock():
        replace_identity(place, file)
    return place


def refused(home: Home) -> P2PCallError:
    before = home.identity_path.read_bytes()
    with pytest.raises(P2PCallError) as caught:
        load_or_create(home, os.urandom)
    assert caught.value.exit is ExitCode.CONFIG
    assert home.identity_path.read_bytes() == before, "nothing is lost"
    return caught.value


# ---- under a passphrase


def test_a_file_sealed_long_ago_opens(home: Path) -> None:
    """A known answer: who changes this locks people out."""
    assert load_or_create(kept(home, GOLDEN), os.urandom) == Identity.of(PRIVATE)


def test_the_seal_is_argon2id_and_secretbox_and_nothing_of_our_own() -> None:
    name, passes, kib, salt, box = GOLDEN.splitlines()[1].removeprefix("p2pcall-sealed-1:").split(":")
    assert name == "argon2id"
    key = bindings.crypto_pwhash_alg(
        32,
        PASSPHRASE,
        base64.b64decode(salt),
        int(passes),
        int(kib) * 1024,
        bindings.crypto_pwhash_ALG_ARGON2ID13,
    )
    data = base64.b64decode(box)
    assert bindings.crypto_secretbox_open(data[24:], data[:24], key) == PRIVATE


def test_a_sealed_identity_has_no_key_in_the_clear(home: Path) -> None:
    place = sealed(home)
    data = place.identity_path.read_bytes()
    for secret in (PRIVATE, Identity.of(PRIVATE).public):
        assert secret not in data
        assert base64.b64encode(secret) not in data
        assert secret.hex().encode() not in data
    assert stat.S_IMODE(place.identity_path.stat().st_mode) == 0o600


def test_a_wrong_passphrase_is_an_error_that_loses_nothing(home: Path) -> None:
    sealed(home)
    for wrong in (b"", b"correct horse batterx", PASSPHRASE + b" ", b"\0" * 2000):
        error = refused(asked(home, wrong))
        assert error.slug == "wrong-passphrase"
        assert wrong.decode() not in error.text or not wrong


def test_a_passphrase_is_asked_for_once_a_run(home: Path) -> None:
    sealed(home)
    times: list[Path] = []

    def passphrase(path: Path) -> bytes:
        times.append(path)
        return PASSPHRASE

    place = Home(home, home, IdentityOpener(passphrase))
    unlock(place)
    for _ in range(3):
        assert load_or_create(place, os.urandom) == Identity.of(PRIVATE)
    assert times == [place.identity_path]


def test_a_plain_identity_needs_no_passphrase(home: Path) -> None:
    def never(path: Path) -> bytes:
        raise AssertionError(path)

    place = Home(home, home, IdentityOpener(never))
    unlock(place)
    assert not place.identity_path.exists(), "nothing is made before it is used"
    load_or_create(place, os.urandom)
    unlock(place)
    assert keeping(place) is Keeping.PLAIN


def test_without_anybody_to_ask_a_sealed_identity_stays_closed(home: Path) -> None:
    sealed(home)
    assert refused(Home.at(home)).slug == "locked-identity"
    assert keeping(Home.at(home)) is Keeping.PASSPHRASE, "how it is kept is known without opening it"


LINE = GOLDEN.splitlines()[1]
SALT, BOX = LINE.split(":")[-2:]


@pytest.mark.parametrize(
    "line",
    [
        *(LINE[:-4], LINE[:-20], LINE[:40], LINE + "AAAA", LINE.replace("argon2id", "argon2i")),
        *(f"{LINE}\n{LINE}", LINE.replace("sealed-1", "sealed-2"), f"p2pcall-sealed-1:{LINE}"),
        *("p2pcall-sealed-1:", "p2pcall-sealed-1:argon2id:3:1024:AAAA:AAAA", LINE.replace(BOX, "")),
        f"{LINE}\np2pcall-key-1:{base64.b64encode(PRIVATE).decode()}",
        f"{LINE}\np2pcall-former-1:AAAA\np2pcall-former-1:AAAA",
    ],
)
def test_a_damaged_seal_is_an_error_that_loses_nothing(home: Path, line: str) -> None:
    assert refused(kept(home, line + "\n")).slug in ("damaged-file", "wrong-passphrase")


@pytest.mark.parametrize(
    "cost",
    [
        *("3:1048576", "65:1024", "0:1024", "3:0", "3:7", "-1:1024", "3:-1024", "3:99999999999999999999"),
        *("1e1:1024", "3:0x400", "\u0663:1024", "3: 1024", "", "3", "99999999999999999999:1024"),
    ],
)
def test_a_hostile_file_costs_neither_time_nor_memory(
    home: Path, cost: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*args: Any) -> bytes:
        raise AssertionError(args)

    monkeypatch.setattr(sealing.bindings, "crypto_pwhash_alg", never)
    text = f"p2pcall-sealed-1:argon2id:{cost}:{SALT}:{BOX}\n"
    assert refused(kept(home, text)).slug == "damaged-file"


def test_a_machine_without_the_memory_says_so(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: Any) -> bytes:
        raise sealing.SodiumError("Unexpected failure in key derivation")

    monkeypatch.setattr(sealing.bindings, "crypto_pwhash_alg", full)
    assert refused(kept(home, GOLDEN)).slug == "no-memory"


@pytest.mark.parametrize(("pass_s", "passes"), [(0.001, 32), (0.05, 10), (0.12, 4), (0.4, 3), (9.0, 3)])
def test_a_guess_takes_half_a_second_within_bounds(
    pass_s: float, passes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sealing, "_derive", lambda *args: b"")
    times = iter([1.0, 1.0 + pass_s])
    assert tuned(lambda: next(times)).passes == passes
    assert Cost().passes <= sealing.MAX_PASSES
    assert sealing.MAX_TUNED_PASSES <= sealing.MAX_PASSES


@pytest.mark.parametrize("length", [*range(45), 100])
def test_a_box_that_is_cut_is_none(length: int) -> None:
    assert unboxed(boxed(b"secret", bytes(32), os.urandom)[:length], bytes(32)) in (
        None,
        *([b"secret"] if length >= 46 else []),
    )


def test_the_same_secret_is_never_sealed_alike() -> None:
    one, two = (seal(PRIVATE, PASSPHRASE, os.urandom, CHEAP) for _ in range(2))
    assert len({*one.split(":")[3:], *two.split(":")[3:]}) == 4
    assert unseal(one, PASSPHRASE, Path("x")) == unseal(two, PASSPHRASE, Path("x")) == PRIVATE


def test_secrets_are_not_shown(home: Path) -> None:
    place = sealed(home)
    identity = load_or_create(place, os.urandom)
    shown = repr(place) + repr(read_identity(place)) + repr(identity) + repr(place.opener)
    for secret in (PRIVATE, PASSPHRASE):
        assert repr(secret)[2:-1] not in shown
        assert base64.b64encode(secret).decode() not in shown


def test_derived_keys_are_blake2b_under_the_private_key() -> None:
    """A known answer: who changes this loses what is keyed by the identity."""
    identity = Identity.of(PRIVATE)
    key = identity.derived_key(b"p2pcall vault 1")
    assert key == hashlib.blake2b(b"p2pcall vault 1", key=PRIVATE, digest_size=32).digest()
    assert key.hex() == "711953af377805c9e460b382770958fe5de23aa198f85804e92d9fd037787437"
    assert identity.derived_key(b"p2pcall vault 2") != key


# ---- what was there before


def test_a_replaced_key_is_overwritten_on_the_disk(home: Path) -> None:
    place = Home.at(home)
    identity = load_or_create(place, os.urandom)
    with place.identity_path.open("rb") as before:
        assert base64.b64encode(identity.private) in before.read()
        with place.lock():
            replace_identity(place, under_passphrase(identity.private, PASSPHRASE, os.urandom, CHEAP))
        before.seek(0)
        assert set(before.read()) == {0}
    assert load_or_create(asked(home), os.urandom) == identity


def test_a_copy_under_another_name_is_not_overwritten(home: Path) -> None:
    place = Home.at(home)
    identity = load_or_create(place, os.urandom)
    copy = home / "copy"
    os.link(place.identity_path, copy)
    with place.lock():
        replace_identity(place, under_passphrase(identity.private, PASSPHRASE, os.urandom, CHEAP))
    assert base64.b64encode(identity.private) in copy.read_bytes()


def test_a_change_that_fails_leaves_the_old_file(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = Home.at(home)
    identity = load_or_create(place, os.urandom)

    def full(*args: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(P2PCallError) as caught, place.lock():
        replace_identity(place, under_passphrase(identity.private, PASSPHRASE, os.urandom, CHEAP))
    assert caught.value.slug == "disk-full"
    assert load_or_create(Home.at(home), os.urandom) == identity


# ---- the keyring


class Ring(ModuleType):
    """The keyring of a machine with a screen."""

    def __init__(self, broken: str = "") -> None:
        super().__init__("keyring")
        self.kept: dict[tuple[str, str], str] = {}
        self.broken = broken

    def _check(self) -> None:
        if self.broken:
            raise RuntimeError(self.broken)

    def set_password(self, service: str, entry: str, secret: str) -> None:
        self._check()
        self.kept[service, entry] = secret

    def get_password(self, service: str, entry: str) -> str | None:
        self._check()
        return self.kept.get((service, entry))

    def delete_password(self, service: str, entry: str) -> None:
        self._check()
        del self.kept[service, entry]


@pytest.fixture
def ring(monkeypatch: pytest.MonkeyPatch) -> Ring:
    made = Ring()
    monkeypatch.setitem(sys.modules, "keyring", made)
    return made


def put(place: Home, file: IdentityFile) -> None:
    with place.lock():
        replace_identity(place, file)


def test_the_keyring_opens_what_it_has_sealed(home: Path, ring: Ring) -> None:
    place = Home.at(home)
    put(place, in_keyring(PRIVATE, os.urandom))
    assert keeping(place) is Keeping.KEYRING
    assert load_or_create(place, os.urandom) == Identity.of(PRIVATE)
    assert base64.b64encode(PRIVATE) not in place.identity_path.read_bytes()
    assert [service for service, _ in ring.kept] == ["p2pcall"]


def test_an_entry_of_the_keyring_goes_with_what_it_sealed(home: Path, ring: Ring) -> None:
    place = Home.at(home)
    put(place, in_keyring(PRIVATE, os.urandom))
    put(place, in_keyring(PRIVATE, os.urandom))
    assert len(ring.kept) == 1
    put(place, plain(PRIVATE))
    assert ring.kept == {}


def test_a_machine_without_a_keyring_says_so_and_offers_the_passphrase(home: Path, ring: Ring) -> None:
    ring.broken = "No recommended backend was available\n\x1b[31m. Install one"
    with pytest.raises(P2PCallError) as caught:
        in_keyring(PRIVATE, os.urandom)
    assert (caught.value.slug, caught.value.exit) == ("no-keyring", ExitCode.CONFIG)
    assert "\x1b" not in caught.value.text
    assert "passphrase" in (caught.value.hint or "")


def test_a_missing_library_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "keyring", None)
    with pytest.raises(P2PCallError) as caught:
        in_keyring(PRIVATE, os.urandom)
    assert caught.value.slug == "no-keyring"


def test_another_machines_keyring_does_not_open_it(home: Path, ring: Ring) -> None:
    place = Home.at(home)
    put(place, in_keyring(PRIVATE, os.urandom))
    ring.kept.clear()
    assert refused(place).slug == "not-in-keyring"
    ring.broken = "locked"
    assert refused(place).slug == "no-keyring"


@pytest.mark.parametrize("entry", ["", "x", "../etc", "0" * 15, "0" * 17, "G" * 16])
def test_a_file_names_no_entry_but_one_of_ours(home: Path, ring: Ring, entry: str) -> None:
    assert refused(kept(home, f"p2pcall-keyring-1:{entry}:AAAA\n")).slug == "damaged-file"


def test_a_key_of_the_keyring_that_does_not_fit_is_damage(home: Path, ring: Ring) -> None:
    place = Home.at(home)
    put(place, in_keyring(PRIVATE, os.urandom))
    for name in ring.kept:
        ring.kept[name] = base64.b64encode(bytes(32)).decode()
    assert refused(place).slug == "damaged-file"
