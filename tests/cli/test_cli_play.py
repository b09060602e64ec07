"""`play`: lists, plays and exports; foreign, damaged, broken-off and old recordings; scripts."""

import json
import os
import wave
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from clirun import assert_told, run

from p2pcall.cli.play import Player
from p2pcall.codec.opus import OpusEncoder
from p2pcall.engine.playback import PlayedPiece
from p2pcall.errors import ExitCode, P2PCallError
from p2pcall.media.constants import FRAME_BYTES
from p2pcall.media.packets import pack_audio
from p2pcall.store.home import Home
from p2pcall.store.identity import load_or_create
from p2pcall.store.recording_keys import recording_key
from p2pcall.store.recordings import (
    Entry,
    Party,
    RecordingHead,
    Track,
    make_recording,
    packed_entry,
    recordings_folder,
)
from p2pcall.store.sealed import SealedWriter

FAR = 4_000_000_000
FRAMES = 15


def recorded(home: Path, path: Path | None = None, *, until: int = FAR, whole: bool = True) -> Path:
    """A recording of 0.3 s with bob, in the home unless a path is given."""
    own = Home.at(home)
    folder = recordings_folder(own)
    folder.mkdir(mode=0o700, exist_ok=True, parents=True)
    path = path or folder / f"{os.urandom(4).hex()}.p2prec"
    key = recording_key(load_or_create(own, os.urandom))
    head = RecordingHead("c0ffee", "ab", Party("me", "aa"), Party("bob\x1b[2J", "bb"), 1.7e9, 1.7e9 + 5, 30)
    encoder = OpusEncoder()
    with make_recording(path) as file:
        writer = SealedWriter(file, key, until, os.urandom)
        writer.write(msgspec.json.encode(head))
        for number in range(FRAMES):
            data = pack_audio((2 * number, 20 * number, [(0, encoder.encode(bytes(FRAME_BYTES)))]))
            chunk = b"".join(
                packed_entry(track, 20 * number, data) for track in (Track.SOUND_SENT, Track.SOUND_RECEIVED)
            )
            writer.write(chunk, last=whole and number == FRAMES - 1)
    return path


def test_recordings_are_listed_with_whom_when_how_long_and_until_when(home: Path) -> None:
    path = recorded(home)
    told = run("play", "--json").rows
    assert told == [
        {
            "v": 1,
            "file": str(path),
            "name": "bob[2J",
            "call": "c0ffee",
            "agreed": 1.7e9 + 5,
            "until": FAR,
            "seconds": 0.28,
            "pictures": 0,
            "whole": True,
        }
    ]
    shown = run("play")
    assert "bob[2J" in shown.out and "2023-11-14 22:13" in shown.out
    assert "\x1b" not in shown.out


def test_without_a_recording_the_list_is_empty(home: Path) -> None:
    assert run("play", "--json").out == ""
    assert "no recordings" in run("play").err


def test_a_recording_is_played_to_its_end_and_the_file_stays(home: Path) -> None:
    path = recorded(home)
    before = path.read_bytes()
    ran = run("play", str(path), "--audio-out", "none", "--json")
    assert ran.exit == 0
    assert [row["whole"] for row in ran.rows] == [True]
    assert path.read_bytes() == before


def test_an_export_to_wav_has_each_side_in_its_channel(home: Path, tmp_path: Path) -> None:
    to = tmp_path / "out.wav"
    assert run("play", str(recorded(home)), "--to", str(to)).exit == 0
    with wave.open(str(to)) as file:
        assert (file.getnchannels(), file.getframerate(), file.getnframes()) == (2, 48_000, FRAMES * 960)
    assert to.stat().st_mode & 0o777 == 0o600


def test_an_export_writes_over_nothing_unless_it_is_forced_to(home: Path, tmp_path: Path) -> None:
    path, to = recorded(home), tmp_path / "out.wav"
    to.write_text("mine")
    ran = run("play", str(path), "--to", str(to))
    assert to.read_text() == "mine"
    assert (tmp_path / "out-2.wav").exists() and "out-2.wav is written" in ran.err
    assert run("play", str(path), "--to", str(to), "--force").exit == 0
    assert to.read_bytes()[:4] == b"RIFF"


@pytest.mark.parametrize("to", ["out.mp3", "out", "wav"])
def test_an_export_to_an_unknown_kind_of_file_is_a_wrong_option(home: Path, to: str) -> None:
    ran = run("play", str(recorded(home)), "--to", to)
    assert ran.exit == 2
    assert ".wav, .mka or .mkv" in ran.err


def test_an_export_into_nowhere_is_a_wrong_option(home: Path) -> None:
    assert_told(run("play", str(recorded(home)), "--to", "/nowhere/out.wav"), 2, "/nowhere/out.wav")


@pytest.mark.parametrize("options", [(), ("--to", "out.wav"), ("--to", "out.mka")])
def test_a_damaged_or_foreign_recording_is_exit_8_and_left_as_it_is(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    changed, foreign, none = recorded(home), recorded(tmp_path / "another"), tmp_path / "text"
    data = bytearray(changed.read_bytes())
    data[len(data) // 2] ^= 1
    changed.write_bytes(data)
    none.write_text("no recording")
    for path in (changed, foreign, none):
        before = path.read_bytes()
        ran = run("play", str(path), *options, "--audio-out", "none")
        assert ran.exit == 8, ran.err
        assert "damaged" in ran.err
        assert path.read_bytes() == before
    assert not list(tmp_path.glob("out*")), "nothing is begun"
    assert [row["file"] for row in run("play", "--json").rows] == []


def test_what_a_crash_has_left_is_played_and_said_to_break_off(home: Path, tmp_path: Path) -> None:
    path = recorded(home, whole=False)
    path.write_bytes(path.read_bytes()[:-3])
    ran = run("play", str(path), "--to", str(tmp_path / "out.wav"), "--json")
    assert ran.exit == 0
    assert "breaks off" in ran.err
    assert (ran.rows[0]["whole"], ran.rows[0]["seconds"]) == (False, 0.26)


def test_a_recording_is_not_kept_longer_than_was_agreed(home: Path, tmp_path: Path) -> None:
    old, elsewhere, new = recorded(home, until=5), recorded(home, tmp_path / "old", until=5), recorded(home)
    assert_told(run("play", str(elsewhere)), 8, "is not played any more")
    assert_told(run("play", str(old)), 8, "is not played any more")
    ran = run("play", "--json")
    assert [row["file"] for row in ran.rows] == [str(new)]
    assert f"{old} was not to be kept any longer, and is erased" in ran.err
    assert not old.exists() and elsewhere.exists()


def test_a_recording_that_is_not_there_is_exit_3(home: Path) -> None:
    assert_told(run("play", "nothing"), 3, "nothing")


def test_what_is_played_is_one_line_of_json(home: Path) -> None:
    out = run("play", str(recorded(home)), "--audio-out", "none", "--json").out
    assert len(out.splitlines()) == 1
    assert json.loads(out)["name"] == "bob[2J"


def test_pictures_are_given_when_their_sound_is_and_the_end_is_told_once_all_is_played() -> None:
    shown: list[bytes] = []
    picture = Entry(Track.PICTURE_RECEIVED, 0, b"picture")
    sound = PlayedPiece(b"\1\0" * 480, b"\2\0" * 480, (picture,))
    player = Player(iter([sound, sound]), lambda data, _: shown.append(data))
    assert player.pull(480) == b"\3\0" * 480
    assert shown == [b"picture"]
    assert player.pull(960) == b"\3\0" * 480 + bytes(960)
    assert not player.ended.is_set()
    assert player.pull(480) == bytes(960)
    assert player.ended.is_set()


def test_damage_that_is_met_while_playing_ends_it_with_the_error() -> None:
    def broken() -> Iterator[PlayedPiece]:
        raise P2PCallError("damaged-recording", "it was changed", ExitCode.CONFIG)
        yield

    player = Player(broken(), None)
    assert player.pull(480) == bytes(960)
    assert player.ended.is_set()
    assert player.failure is not None


def playable() -> set[str]:
    """The recordings that the list can read."""
    ran = run("play", "--json")
    assert ran.err == ""
    return {str(row["file"]) for row in ran.rows}


def test_recordings_stay_readable_when_the_key_is_changed_and_changed_again(home: Path) -> None:
    made = {str(recorded(home))}
    for _ in range(2):
        assert run("id", "rotate", "--abandon").exit == 0
        assert playable() == made
        made.add(str(recorded(home)))
    assert playable() == made


def test_recordings_stay_readable_under_a_new_passphrase_and_without_one(home: Path, tmp_path: Path) -> None:
    made, secret = {str(recorded(home))}, tmp_path / "passphrase"
    secret.write_text("correct horse battery\n")
    secret.chmod(0o600)
    assert run("id", "passphrase", "--new-passphrase-file", str(secret)).exit == 0
    rows = run("play", "--json", "--passphrase-file", str(secret)).rows
    assert {str(row["file"]) for row in rows} == made
    assert run("id", "passphrase", "--remove", "--passphrase-file", str(secret)).exit == 0
    assert playable() == made


def test_recordings_of_a_key_stay_readable_when_a_backup_is_restored_over_it(
    home: Path, tmp_path: Path
) -> None:
    secret, file = tmp_path / "passphrase", str(tmp_path / "backup")
    secret.write_text("correct horse battery\n")
    secret.chmod(0o600)
    made = {str(recorded(home))}
    run("id", "backup", file, "--new-passphrase-file", str(secret))
    assert run("id", "rotate").exit == 0
    made.add(str(recorded(home)))
    assert run("id", "restore", file, "--force", "--passphrase-file", str(secret)).exit == 0
    rows = run("play", "--json", "--passphrase-file", str(secret)).rows
    assert {str(row["file"]) for row in rows} == made


def test_recordings_that_are_carried_along_are_readable_where_a_backup_is_restored(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret, file, there = tmp_path / "passphrase", str(tmp_path / "backup"), tmp_path / "there"
    secret.write_text("correct horse battery\n")
    secret.chmod(0o600)
    before = recorded(home)
    run("id", "rotate")
    after = recorded(home)
    run("id", "backup", file, "--new-passphrase-file", str(secret))
    given = ("--home", str(there), "--passphrase-file", str(secret))
    assert run("id", "restore", file, *given).exit == 0
    for path in (before, after):
        assert run("play", str(path), "--to", str(tmp_path / f"{path.stem}.wav"), *given).exit == 0
