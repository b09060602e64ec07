"""Sealed files: only the owner reads them, nothing in them can be changed unseen, a crash costs only what came last."""

import io
import os
from itertools import count, pairwise
from pathlib import Path

import msgspec
import pytest

from p2pcall.errors import ExitCode, P2PCallError
from p2pcall.store import recordings
from p2pcall.store.home import Home
from p2pcall.store.identity import load_or_create
from p2pcall.store.recordings import Entry, Party, RecordingHead, RecordingReader, Track, packed_entry
from p2pcall.store.sealed import HEAD_BYTES, KEY_OFFSET, NotSealed, SealedReader, SealedWriter

KEY, OTHER_KEY = bytes(range(32)), bytes(32)
CHUNKS = [b"first", b"second " * 100, b"third"]
HEAD = RecordingHead("c0ffee", "ab" * 32, Party("me", "aa" * 32), Party("bob", "bb" * 32), 10.0, 12.0, 30)


def sealed(*chunks: bytes, key: bytes = KEY, whole: bool = True, seed: int = 1) -> bytes:
    file, drawn = io.BytesIO(), count(seed)
    writer = SealedWriter(file, key, 1_000_000, lambda n: bytes([next(drawn)] * n))
    for number, chunk in enumerate(chunks, 1):
        writer.write(chunk, last=whole and number == len(chunks))
    return file.getvalue()


def places(data: bytes) -> list[int]:
    """Where each chunk begins, and the end."""
    found = [HEAD_BYTES]
    while found[-1] < len(data):
        found.append(found[-1] + 4 + int.from_bytes(data[found[-1] : found[-1] + 4], "big"))
    return found


def read(data: bytes, key: bytes = KEY) -> tuple[list[bytes], bool]:
    reader = SealedReader(io.BytesIO(data), key)
    return list(reader.chunks()), reader.whole


def test_what_was_sealed_is_read_by_the_owner_of_the_key() -> None:
    assert read(sealed(*CHUNKS)) == (CHUNKS, True)
    assert read(sealed(b"")) == ([b""], True)


def test_nothing_of_it_can_be_seen_without_the_key() -> None:
    data = sealed(*CHUNKS)
    assert not any(chunk in data for chunk in CHUNKS)
    assert KEY not in data
    with pytest.raises(NotSealed):
        read(data, OTHER_KEY)


def test_a_file_that_breaks_off_is_read_up_to_its_last_whole_chunk_and_said_not_to_be_whole() -> None:
    data = sealed(*CHUNKS)
    starts = places(data)
    for end in range(HEAD_BYTES, len(data)):
        chunks, whole = read(data[:end])
        assert chunks == CHUNKS[: sum(start <= end for start in starts) - 1]
        assert not whole
    for end in range(HEAD_BYTES):
        with pytest.raises(NotSealed):
            read(data[:end])


def test_every_changed_byte_is_noticed() -> None:
    data = sealed(*CHUNKS)
    for at in range(len(data)):
        changed = bytearray(data)
        changed[at] ^= 1
        try:
            chunks, whole = read(bytes(changed))
        except NotSealed:
            continue
        assert not whole, at  # a longer length: it seems to break off, and is said to
        assert chunks == CHUNKS[: len(chunks)]


def test_chunks_that_change_places_or_come_twice_or_from_another_file_are_noticed() -> None:
    data, starts = sealed(*CHUNKS), places(sealed(*CHUNKS))
    head, parts = data[:HEAD_BYTES], [data[a:b] for a, b in pairwise(starts)]
    other = sealed(*CHUNKS, seed=7)
    alien = other[starts[0] : starts[1]]
    for wrong in (
        (parts[1], parts[0], parts[2]),
        (parts[0], parts[0], parts[2]),
        (parts[0], parts[2]),
        (parts[2],),
        (alien, *parts[1:]),
        (*parts, parts[2]),
        (*parts, b"x"),
    ):
        with pytest.raises(NotSealed):
            read(head + b"".join(wrong))
    with pytest.raises(NotSealed):
        read(other[:HEAD_BYTES] + b"".join(parts))


def test_until_when_it_is_kept_cannot_be_changed() -> None:
    data = bytearray(sealed(*CHUNKS))
    data[KEY_OFFSET - 1] ^= 1
    with pytest.raises(NotSealed):
        read(bytes(data))


def test_a_chunk_that_is_too_large_is_neither_written_nor_read() -> None:
    with pytest.raises(ValueError, match="at most"):
        sealed(bytes((1 << 20) + 1))
    with pytest.raises(NotSealed):
        read(sealed(b"x")[:HEAD_BYTES] + b"\xff\xff\xff\xff")


# ---- recordings


def written(path: Path, *entries: Entry, head: RecordingHead = HEAD, until: int = 100) -> Path:
    path.parent.mkdir(exist_ok=True)
    with recordings.make_recording(path) as file:
        writer = SealedWriter(file, KEY, until, os.urandom)
        writer.write(msgspec.json.encode(head))
        writer.write(b"".join(packed_entry(*entry) for entry in entries), last=True)
    return path


def test_a_recording_holds_both_consents_and_all_entries_in_order(tmp_path: Path) -> None:
    entries = [Entry(Track(kind), 10 * kind, bytes([kind])) for kind in Track]
    path = written(tmp_path / "x", *entries)
    assert path.stat().st_mode & 0o777 == 0o600
    with path.open("rb") as file:
        reader = RecordingReader(path, file, [KEY])
        assert reader.head == HEAD
        assert list(reader.entries()) == entries
        assert reader.whole
        assert reader.until == 100


@pytest.mark.parametrize("data", [b"", b"RIFF" + bytes(200), sealed(b"{}"), sealed(b"no JSON"), sealed()])
def test_a_foreign_file_is_no_recording_and_stays_as_it_is(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "foreign"
    path.write_bytes(data)
    with path.open("rb") as file, pytest.raises(P2PCallError) as wrong:
        RecordingReader(path, file, [KEY])
    assert wrong.value.exit is ExitCode.CONFIG
    assert path.read_bytes() == data


@pytest.mark.parametrize(
    "chunk", [b"\1", packed_entry(Track.SOUND_SENT, 1, b"abc")[:-1], b"\1" + bytes(4) + b"\xff" * 4]
)
def test_an_entry_that_breaks_off_is_damage(tmp_path: Path, chunk: bytes) -> None:
    path = tmp_path / "damaged"
    path.write_bytes(sealed(msgspec.json.encode(HEAD), chunk))
    with path.open("rb") as file:
        reader = RecordingReader(path, file, [KEY])
        with pytest.raises(P2PCallError) as wrong:
            list(reader.entries())
    assert wrong.value.slug == "damaged-recording"


def test_what_a_newer_version_has_added_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "newer"
    known = packed_entry(Track.SOUND_SENT, 1, b"abc")
    path.write_bytes(sealed(msgspec.json.encode(HEAD), b"\x63" + known[1:] + known))
    with path.open("rb") as file:
        assert len(list(RecordingReader(path, file, [KEY]).entries())) == 1


def test_recordings_expire_by_their_own_clock_and_without_a_key(tmp_path: Path) -> None:
    home = Home.at(tmp_path)
    assert recordings.expired(home, 0.0) == []
    folder = recordings.recordings_folder(home)
    old, new = written(folder / "old.p2prec", until=100), written(folder / "new.p2prec", until=200)
    (folder / "else.p2prec").write_bytes(b"something else")
    assert recordings.expired(home, 99.0) == []
    assert recordings.expired(home, 100.0) == [old]
    assert set(recordings.expired(home, 200.0)) == {old, new}


def test_erasing_destroys_the_key_before_the_file(tmp_path: Path) -> None:
    path = written(tmp_path / "x", Entry(Track.SOUND_SENT, 1, b"abc"))
    other = tmp_path / "another name of it"
    os.link(path, other)
    recordings.erase_recording(path)
    assert not path.exists()
    with other.open("rb") as file, pytest.raises(P2PCallError):
        RecordingReader(other, file, [KEY])


def test_a_derived_key_is_of_its_purpose_and_its_identity(tmp_path: Path) -> None:
    one = load_or_create(Home.at(tmp_path / "one"), os.urandom)
    other = load_or_create(Home.at(tmp_path / "other"), os.urandom)
    keys = {one.derived_key(b"a"), one.derived_key(b"b"), other.derived_key(b"a")}
    assert len(keys) == 3
    assert one.derived_key(b"a") == one.derived_key(b"a")
    assert one.private not in keys
