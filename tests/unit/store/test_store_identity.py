"""The long-term key: made once, never lost, never shown."""

import multiprocessing
import os
import stat
from pathlib import Path
from typing import Any

import pytest
from fakeenv import seeded_entropy
from nacl.bindings import crypto_scalarmult_base

from p2pcall.errors import ExitCode, P2PCallError
from p2pcall.store.home import Home
from p2pcall.store.identity import fingerprint, load_or_create
from p2pcall.store.identity_file import PREFIX


def test_the_first_use_makes_a_key_and_later_uses_find_it(home: Path) -> None:
    place = Home.at(home)
    first = load_or_create(place, seeded_entropy(1))
    again = load_or_create(place, seeded_entropy(2))
    assert first == again
    assert first.public == crypto_scalarmult_base(first.private)
    assert first.fingerprint == fingerprint(first.public)
    assert stat.S_IMODE(place.identity_path.stat().st_mode) == 0o600
    assert stat.S_IMODE(home.stat().st_mode) == 0o700


def test_the_private_key_is_not_shown(home: Path) -> None:
    identity = load_or_create(Home.at(home), seeded_entropy(1))
    assert repr(identity.private) not in repr(identity)
    assert repr(identity.public) in repr(identity)


def test_the_fingerprint_is_eight_groups_of_four() -> None:
    """A known answer: who changes this makes every fingerprint that people wrote down wrong."""
    assert fingerprint(bytes(32)) == "rue5-r7ea-3k7t-i5bl-f6eu-mdui-uvgo-2tyi"
    assert fingerprint(bytes(31) + b"\1") != fingerprint(bytes(32))


def _race(place: Home, barrier: Any, queue: Any) -> None:
    barrier.wait()
    queue.put(load_or_create(place, os.urandom).public)


def test_processes_that_start_at_once_get_the_same_key(home: Path) -> None:
    count = 4
    context = multiprocessing.get_context("fork")
    barrier, queue = context.Barrier(count), context.SimpleQueue()
    processes = [context.Process(target=_race, args=(Home.at(home), barrier, queue)) for _ in range(count)]
    for process in processes:
        process.start()
    keys = {queue.get() for _ in processes}
    for process in processes:
        process.join()
    assert keys == {load_or_create(Home.at(home), os.urandom).public}


KEY = PREFIX + "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE="


@pytest.mark.parametrize("text", [KEY, f"# me\n\n  {KEY}  \r\n", f"{KEY}\n# after"])
def test_comments_and_spaces_do_not_matter(home: Path, text: str) -> None:
    place = Home.at(home)
    load_or_create(place, seeded_entropy(1))
    place.identity_path.write_text(text)
    assert load_or_create(place, seeded_entropy(2)).private == bytes([1] * 32)


@pytest.mark.parametrize(
    "data",
    [
        *(b"", b"\n", b"# only a comment\n", b"\xff\xfe", b"p2pcall-key-2:AAAA", PREFIX.encode()),
        *(KEY.encode() + b"x", KEY[:-5].encode(), f"{KEY}\n{KEY}".encode(), PREFIX.encode() + b"%%%%"),
        *(PREFIX.encode() + b"QUJD", PREFIX.encode() + b"A" * 43 + b"=", PREFIX.encode() + "é".encode()),
    ],
)
def test_a_damaged_key_is_an_error_that_loses_nothing(home: Path, data: bytes) -> None:
    place = Home.at(home)
    load_or_create(place, seeded_entropy(1))
    place.identity_path.write_bytes(data)
    with pytest.raises(P2PCallError) as caught:
        load_or_create(place, seeded_entropy(2))
    assert (caught.value.slug, caught.value.exit) == ("damaged-file", ExitCode.CONFIG)
    assert place.identity_path.read_bytes() == data


def test_a_key_that_others_can_read_is_refused(home: Path) -> None:
    place = Home.at(home)
    load_or_create(place, seeded_entropy(1))
    place.identity_path.chmod(0o644)
    with pytest.raises(P2PCallError) as caught:
        load_or_create(place, seeded_entropy(1))
    assert caught.value.hint == f"chmod 600 {place.identity_path}"
