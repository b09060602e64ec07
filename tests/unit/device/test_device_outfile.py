"""Files that a call writes: nothing is lost, nothing is made too early, what a crash leaves is found."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from p2pcall.device import outfile
from p2pcall.device.outfile import OutFile, check_not_the_same
from p2pcall.errors import ExitCode, P2PCallError

OLD, NEW = b"an earlier call", b"this call"
SUFFIXES = [".wav", ".ogg", ".flac", ".mkv", ".mp4", ".webm"]


def written(file: OutFile, data: bytes = NEW) -> list[str]:
    """Write a whole call; what was told."""
    told: list[str] = []
    file.on_note = told.append
    Path(file.begin()).write_bytes(data)
    file.finish()
    file.finish()
    return told


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_an_attempt_makes_and_touches_nothing(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"call{suffix}"
    assert OutFile(str(path)).check() == []
    assert names(tmp_path) == []
    path.write_bytes(OLD)
    before = path.stat()
    for force in (False, True):
        file = OutFile(str(path), force=force)
        file.check()
        file.finish()
    assert path.read_bytes() == OLD
    assert path.stat().st_mtime_ns == before.st_mtime_ns
    assert names(tmp_path) == [path.name]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_file_that_is_there_is_kept_and_the_next_name_told(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"call{suffix}"
    assert written(OutFile(str(path)), OLD) == []
    for number in (2, 3):
        name = tmp_path / f"call-{number}{suffix}"
        assert written(OutFile(str(path))) == [f"{path} is there already: this call is written to {name}"]
        assert name.read_bytes() == NEW
    assert path.read_bytes() == OLD


def test_force_writes_over_it_and_only_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "call.wav"
    path.write_bytes(OLD)
    file = OutFile(str(path), force=True)
    Path(file.begin()).write_bytes(NEW)
    assert path.read_bytes() == OLD, "until the new one is complete"
    file.finish()
    assert path.read_bytes() == NEW
    assert names(tmp_path) == ["call.wav"]


def test_two_that_write_at_once_have_names_of_their_own(tmp_path: Path) -> None:
    path = tmp_path / "call.wav"
    first, second = OutFile(str(path)), OutFile(str(path))
    for number, file in enumerate((first, second)):
        Path(file.begin()).write_bytes(b"%d" % number)
    assert second.check() == [], "a file that is being written is not taken for a left one"
    second.finish()
    first.finish()
    assert path.read_bytes() == b"0"
    assert (tmp_path / "call-2.wav").read_bytes() == b"1"


def test_a_name_that_somebody_else_took_meanwhile_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "call.wav"
    file = OutFile(str(path))
    told: list[str] = []
    file.on_note = told.append
    Path(file.begin()).write_bytes(NEW)
    path.write_bytes(OLD)
    file.finish()
    assert path.read_bytes() == OLD
    assert (tmp_path / "call-2.wav").read_bytes() == NEW
    assert told == [f"{path} is there already: this call was written to {tmp_path / 'call-2.wav'}"]


def test_only_the_owner_may_read_it(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        written(OutFile(str(tmp_path / "call.wav")))
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "call.wav").stat().st_mode) == 0o600


def test_what_is_empty_leaves_nothing(tmp_path: Path) -> None:
    assert written(OutFile(str(tmp_path / "call.wav")), b"") == []
    assert names(tmp_path) == []


CRASH = """
import os, sys
from p2pcall.device.outfile import OutFile
file = OutFile(sys.argv[1])
with open(file.begin(), "wb") as out:
    out.write(bytes(int(sys.argv[2])))
os._exit(1)
"""


def test_what_a_crash_left_is_found_and_told_by_the_next_start(tmp_path: Path) -> None:
    path = tmp_path / "call.wav"
    for size in (1000, 2000, 44, 0):
        subprocess.run([sys.executable, "-c", CRASH, str(path), str(size)], check=False)
    left = ["call-2.wav.part", "call-3.wav.part", "call-4.wav.part", "call.wav.part"]
    assert names(tmp_path) == left, "a crash is not taken for a free name"
    told = OutFile(str(path)).check()
    assert told == [
        f"a call that was cut short is kept as {tmp_path / name}" for name in ("call.wav", "call-2.wav")
    ]
    assert names(tmp_path) == ["call-2.wav", "call.wav"], "and where nothing was said, nothing is kept"
    assert path.stat().st_size == 1000
    assert OutFile(str(path)).check() == []


def test_a_left_one_never_takes_the_place_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "call.wav"
    path.write_bytes(OLD)
    (tmp_path / "call.wav.part").write_bytes(bytes(100))
    assert OutFile(str(path), force=True).check() == [
        f"a call that was cut short is kept as {tmp_path / 'call-2.wav'}"
    ]
    assert path.read_bytes() == OLD


@pytest.mark.parametrize("where", ["nowhere/call.wav", "file/call.wav", "folder.wav"])
def test_what_cannot_be_written_is_told_before_a_call(tmp_path: Path, where: str) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder.wav").mkdir()
    with pytest.raises(P2PCallError) as caught:
        OutFile(str(tmp_path / where)).check()
    assert (caught.value.slug, caught.value.exit) == ("file-not-writable", ExitCode.USAGE)
    assert caught.value.hint


def test_a_device_is_written_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "null.wav"
    path.symlink_to(os.devnull)
    file = OutFile(str(path))
    assert file.check() == []
    assert file.begin() == str(path)
    file.finish()
    assert names(tmp_path) == ["null.wav"]


def test_without_hard_links_a_file_is_kept_as_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def link(*_: object) -> None:
        raise PermissionError(1, "operation not permitted")

    monkeypatch.setattr(os, "link", link)
    path = tmp_path / "call.wav"
    written(OutFile(str(path)), OLD)
    written(OutFile(str(path)))
    assert (path.read_bytes(), (tmp_path / "call-2.wav").read_bytes()) == (OLD, NEW)


def test_the_same_file_is_not_read_and_written(tmp_path: Path) -> None:
    path, link = tmp_path / "a.wav", tmp_path / "b.wav"
    path.write_bytes(OLD)
    link.hardlink_to(path)
    (tmp_path / "c.wav").symlink_to(path)
    for name in ("a.wav", "b.wav", "c.wav"):
        with pytest.raises(P2PCallError, match="--audio-in and --audio-out are the same file") as caught:
            check_not_the_same({"--audio-in": str(path)}, {"--audio-out": OutFile(str(tmp_path / name))})
        assert caught.value.exit is ExitCode.USAGE
    both = {
        "--audio-out": OutFile(str(tmp_path / "new.ogg")),
        "--video-out": OutFile(str(tmp_path / "new.ogg")),
    }
    with pytest.raises(P2PCallError, match="are the same file"):
        check_not_the_same({}, both)
    check_not_the_same(
        {"--audio-in": "-", "--video-in": None}, {"--audio-out": OutFile(str(tmp_path / "d.wav"))}
    )


def test_a_name_is_found_without_trying_those_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It happens in the loop that carries the sound."""
    tried: list[int] = []

    def numbered(path: Path, number: int) -> Path:
        tried.append(number)
        return path if number == 1 else path.with_stem(f"{path.stem}-{number}")

    monkeypatch.setattr(outfile, "numbered", numbered)
    for _ in range(3):
        written(OutFile(str(tmp_path / "call.wav")))
    assert len(tried) < 20
