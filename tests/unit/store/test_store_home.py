"""Files: where they are, that they are private, that a write is whole, and what is said when it cannot be."""

import errno
import os
import shlex
import stat
import threading
from pathlib import Path

import pytest

from p2pcall.errors import ExitCode, P2PCallError
from p2pcall.store import home as store_home
from p2pcall.store.home import Home, damaged, ensure_directory, file_error, read, write_atomic


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def no_platform(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_home.sys, "platform", "linux")


@pytest.mark.usefixtures("no_platform")
@pytest.mark.parametrize(
    ("environ", "override", "config", "data"),
    [
        ({"HOME": "/h"}, None, "/h/.config/p2pcall", "/h/.local/share/p2pcall"),
        ({"HOME": "/h", "XDG_CONFIG_HOME": "/c", "XDG_DATA_HOME": "/d"}, None, "/c/p2pcall", "/d/p2pcall"),
        (
            {"HOME": "/h", "XDG_CONFIG_HOME": "c", "XDG_DATA_HOME": ""},
            None,
            "/h/.config/p2pcall",
            "/h/.local/share/p2pcall",
        ),
        ({"HOME": "/h", "P2PCALL_HOME": "/p"}, None, "/p", "/p"),
        ({"HOME": "/h", "P2PCALL_HOME": "/p"}, "/o", "/o", "/o"),
        ({"P2PCALL_HOME": "/p"}, None, "/p", "/p"),
    ],
)
def test_the_home_is_found(environ: dict[str, str], override: str | None, config: str, data: str) -> None:
    assert Home.locate(environ, override) == Home(Path(config), Path(data))


def test_on_macos_it_is_where_programs_keep_things(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_home.sys, "platform", "darwin")
    assert Home.locate({"HOME": "/h"}).data == Path("/h/Library/Application Support/p2pcall")


def test_no_home_at_all_is_told() -> None:
    with pytest.raises(P2PCallError) as caught:
        Home.locate({})
    assert (caught.value.slug, caught.value.exit) == ("no-home", ExitCode.CONFIG)


def test_a_relative_home_stays_the_same_when_the_process_moves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    home = Home.at("here")
    monkeypatch.chdir("/")
    assert home.identity_path == tmp_path / "here" / "identity.key"


@pytest.mark.usefixtures("no_platform")
def test_a_relative_home_of_the_user_is_made_absolute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert Home.locate({"HOME": "-rf"}).config == tmp_path / "-rf" / ".config" / "p2pcall"


def test_locating_creates_nothing(home: Path) -> None:
    Home.locate(os.environ)
    assert not home.exists()


def test_what_is_written_is_private_and_read_again(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "file"
    assert read(path) is None
    old = os.umask(0)
    try:
        write_atomic(path, b"one")
        write_atomic(path, b"two")
    finally:
        os.umask(old)
    assert read(path, private=True) == b"two"
    assert mode(path) == 0o600
    assert mode(path.parent) == mode(path.parent.parent) == 0o700
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize(
    ("code", "slug"),
    [
        (errno.ENOSPC, "disk-full"),
        (errno.EDQUOT, "disk-full"),
        (errno.EROFS, "read-only"),
        (errno.EACCES, "no-permission"),
        (errno.EIO, "file-error"),
    ],
)
@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, slug: str, step: str
) -> None:
    path = tmp_path / "file"
    write_atomic(path, b"old")

    def fail(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(*((store_home.os, "fsync") if step == "fsync" else (Path, "replace")), fail)
    with pytest.raises(P2PCallError) as caught:
        write_atomic(path, b"new")
    monkeypatch.undo()
    assert (caught.value.slug, caught.value.exit) == (slug, ExitCode.CONFIG)
    assert caught.value.hint
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_bytes() == b"old"


def test_a_file_system_that_cannot_sync_directories_will_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.fsync

    def fsync(fd: int) -> None:
        if stat.S_ISDIR(os.fstat(fd).st_mode):
            raise OSError(errno.EINVAL, "")
        real(fd)

    monkeypatch.setattr(store_home.os, "fsync", fsync)
    write_atomic(tmp_path / "file", b"x")
    assert (tmp_path / "file").read_bytes() == b"x"


def test_others_may_not_write_the_directory(tmp_path: Path) -> None:
    tmp_path.chmod(0o770)
    with pytest.raises(P2PCallError) as caught:
        ensure_directory(tmp_path)
    assert caught.value.slug == "unsafe-directory"
    assert caught.value.hint == f"chmod 700 {tmp_path}"
    tmp_path.chmod(0o755)
    ensure_directory(tmp_path)


def test_others_may_not_read_a_private_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_atomic(path, b"x")
    path.chmod(0o640)
    assert read(path) == b"x"
    with pytest.raises(P2PCallError) as caught:
        read(path, private=True)
    assert (caught.value.slug, caught.value.hint) == ("unsafe-file", f"chmod 600 {path}")


@pytest.mark.parametrize("name", ["it's mine", "$(reboot)", "a;b", "Application Support", '"'])
def test_the_commands_in_hints_mean_the_path_and_nothing_else(tmp_path: Path, name: str) -> None:
    path = tmp_path / name / "file"
    odd = str(path)
    write_atomic(path, b"x")
    path.chmod(0o640)
    with pytest.raises(P2PCallError) as caught:
        read(path, private=True)
    assert shlex.split(caught.value.hint or "") == ["chmod", "600", odd]
    hint = damaged(path, "?").hint or ""
    assert shlex.split(hint.partition(" anew: ")[2]) == ["mv", odd, odd + ".damaged"]
    for code, words in (
        (errno.EIO, ["ls", "-ld", odd, str(path.parent)]),
        (errno.ENOSPC, ["df", "-h", str(path.parent)]),
    ):
        assert shlex.split(file_error(OSError(code, "?"), path, "read").hint or "") == words
    path.unlink()
    path.mkdir()
    with pytest.raises(P2PCallError) as caught:
        read(path)
    assert shlex.split((caught.value.hint or "").partition(": ")[2]) == ["mv", odd, odd + ".old"]


def test_a_directory_that_is_a_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(P2PCallError) as caught:
            ensure_directory(path)
        assert caught.value.slug == "not-a-directory"


def test_what_is_no_file_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "dir").mkdir()
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for name, slug in {"pipe": "not-a-file", "dir": "not-a-file", "loop": "file-error"}.items():
        with pytest.raises(P2PCallError) as caught:
            read(tmp_path / name)
        assert caught.value.slug == slug


def test_a_huge_file_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "huge").open("wb") as file:
        file.truncate(store_home.MAX_FILE_BYTES + 1)
    with pytest.raises(P2PCallError) as caught:
        read(tmp_path / "huge")
    assert caught.value.slug == "damaged-file"


def test_the_lock_is_held_by_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = Home.at(tmp_path)
    monkeypatch.setattr(store_home, "LOCK_TRIES", 2)
    monkeypatch.setattr(store_home, "LOCK_PAUSE_S", 0)
    with home.lock():
        with pytest.raises(P2PCallError) as caught, home.lock():
            pytest.fail("two hold the lock")
        assert caught.value.slug == "store-locked"
    with home.lock():
        pass
    assert mode(tmp_path / ".lock") == 0o600


def test_the_lock_is_waited_for(tmp_path: Path) -> None:
    home = Home.at(tmp_path)
    order: list[str] = []
    waiting = threading.Event()

    def second() -> None:
        waiting.set()
        with home.lock():
            order.append("second")

    thread = threading.Thread(target=second)
    with home.lock():
        thread.start()
        waiting.wait()
        order.append("first")
    thread.join()
    assert order == ["first", "second"]


def test_a_lock_that_cannot_be_had_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(P2PCallError), Home.at(tmp_path).lock():
        pytest.fail("a symlink was followed")
    (tmp_path / ".lock").unlink()

    def fail(*_: object) -> None:
        raise OSError(errno.ENOLCK, "no locks available")

    monkeypatch.setattr(store_home.fcntl, "flock", fail)
    with pytest.raises(P2PCallError) as caught, Home.at(tmp_path).lock():
        pytest.fail("no lock was had")
    assert caught.value.slug == "file-error"
