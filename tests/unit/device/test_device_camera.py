"""Cameras and screens: nothing is opened before the first read; what cannot be opened says what mends it."""

import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import pytest

from p2pcall.device import camera
from p2pcall.device.base import Device
from p2pcall.device.camera import Capture, CaptureSource, list_v4l2, open_camera, open_screen
from p2pcall.errors import ExitCode, P2PCallError


class FakeContainer:
    """Pictures without end, or what is given: an exception is raised in its place."""

    def __init__(self, script: list[Any] | None = None) -> None:
        self.script = script
        self.closed = 0

    def decode(self, *, video: int) -> Iterator[av.VideoFrame]:
        assert video == 0
        while self.script is None or self.script:
            item = av.VideoFrame(64, 48, "yuyv422") if self.script is None else self.script.pop(0)
            if isinstance(item, Exception):
                raise item
            yield item

    def close(self) -> None:
        self.closed += 1


class Opener:
    """Stands in for av.open."""

    def __init__(self, container: FakeContainer | Exception) -> None:
        self.container = container
        self.calls: list[tuple[str, str, dict[str, str]]] = []

    def __call__(self, url: str, *, format: str, options: dict[str, str]) -> FakeContainer:
        self.calls.append((url, format, options))
        if isinstance(self.container, Exception):
            raise self.container
        return self.container


@pytest.fixture
def v4l2(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two cameras, the first with a second node that gives no pictures, and one broken entry."""
    for node, name, index in (
        ("video0", "Integrated Camera: Front", "0"),
        ("video1", "Integrated Camera: Front", "1"),
        ("video10", "USB Microscope", "0"),
    ):
        (tmp_path / node).mkdir()
        (tmp_path / node / "name").write_text(name + "\n")
        (tmp_path / node / "index").write_text(index + "\n")
    (tmp_path / "video3").mkdir()
    found = list_v4l2(tmp_path)
    monkeypatch.setattr(camera, "list_v4l2", lambda: found)
    monkeypatch.setattr(os, "access", lambda path, mode: True)
    return tmp_path


def source_of(opener: Opener, fps: int = 15) -> CaptureSource:
    ticks = iter(range(1_000_000))
    return CaptureSource(Capture("the camera", "x", "fake"), fps, opener, lambda: next(ticks) / fps)


def test_cameras_are_listed_by_name(v4l2: Path) -> None:
    assert list_v4l2(v4l2) == [
        ("Integrated Camera: Front", "/dev/video0"),
        ("USB Microscope", "/dev/video10"),
    ]
    assert camera.list_cameras("linux") == [
        Device("camera", "Integrated Camera: Front", True),
        Device("camera", "USB Microscope", False),
    ]
    assert camera.list_cameras("darwin") == []


@pytest.mark.parametrize(
    ("name", "path"),
    [
        (None, "/dev/video0"),
        ("micro", "/dev/video10"),
        ("/dev/video10", "/dev/video10"),
        ("FRONT", "/dev/video0"),
    ],
)
def test_a_camera_is_opened_by_the_first_read(v4l2: Path, name: str | None, path: str) -> None:
    opener = Opener(FakeContainer())
    source = open_camera(name, 15, opener=opener, platform="linux")
    assert opener.calls == []
    assert source.read() is not None
    assert opener.calls == [(path, "video4linux2,v4l2", {"framerate": "15", "video_size": "640x480"})]
    assert source.size == (64, 48)
    source.close()
    assert isinstance(opener.container, FakeContainer)
    assert opener.container.closed == 1
    assert source.read() is None
    assert len(opener.calls) == 1


@pytest.mark.parametrize(("name", "slug"), [("telescope", "no-such-device"), ("r", "device-ambiguous")])
def test_names_that_fit_none_or_several(v4l2: Path, name: str, slug: str) -> None:
    with pytest.raises(P2PCallError) as caught:
        open_camera(name, 15, platform="linux")
    assert (caught.value.slug, caught.value.exit) == (slug, ExitCode.DEVICE)
    assert caught.value.hint


def test_no_camera_and_no_permission(v4l2: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(P2PCallError) as caught:
        open_camera(None, 15, platform="linux")
    assert caught.value.slug == "camera-denied"
    assert caught.value.hint is not None
    assert "usermod" in caught.value.hint
    monkeypatch.setattr(camera, "list_v4l2", list)
    with pytest.raises(P2PCallError) as caught:
        open_camera(None, 15, platform="linux")
    assert (caught.value.slug, caught.value.exit) == ("no-camera", ExitCode.DEVICE)
    assert caught.value.hint is not None
    assert "--video-in none" in caught.value.hint


def test_other_platforms(monkeypatch: pytest.MonkeyPatch) -> None:
    for formats, platform, name, url in (
        ({"avfoundation"}, "darwin", None, "default:none"),
        ({"avfoundation"}, "darwin", "FaceTime", "FaceTime:none"),
        ({"dshow"}, "win32", "Cam", "video=Cam"),
    ):
        monkeypatch.setattr(av, "formats_available", formats)
        opener = Opener(FakeContainer())
        assert open_camera(name, 15, opener=opener, platform=platform).read() is not None
        assert [call[0] for call in opener.calls] == [url]
    with pytest.raises(P2PCallError, match="cannot be found"):
        open_camera(None, 15, platform="win32")
    monkeypatch.setattr(av, "formats_available", set())
    with pytest.raises(P2PCallError, match="cannot capture cameras"):
        open_camera("Cam", 15, platform="win32")
    with pytest.raises(P2PCallError, match="cannot capture screens"):
        open_screen(15, environ={"DISPLAY": ":0"}, platform="linux")


def test_the_screen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(av, "formats_available", {"x11grab", "avfoundation", "gdigrab"})
    for platform, url in (("linux", ":5"), ("darwin", "Capture screen 0:none"), ("win32", "desktop")):
        opener = Opener(FakeContainer())
        source = open_screen(15, environ={"DISPLAY": ":5"}, opener=opener, platform=platform)
        assert opener.calls == []
        assert source.read() is not None
        assert opener.calls[0][0] == url
    with pytest.raises(P2PCallError, match="no X display") as caught:
        open_screen(15, environ={}, platform="linux")
    assert (caught.value.slug, caught.value.exit) == ("no-screen", ExitCode.DEVICE)


def test_a_device_that_is_busy_or_breaks() -> None:
    busy = source_of(Opener(OSError(16, "Device or resource busy")))
    with pytest.raises(P2PCallError, match="the camera: device or resource busy") as caught:
        busy.read()
    assert (caught.value.slug, caught.value.exit) == ("device-open", ExitCode.DEVICE)
    picture = av.VideoFrame(64, 48, "yuyv422")
    unplugged = FakeContainer([picture, OSError(19, "No such device")])
    source = source_of(Opener(unplugged))
    assert source.read() is picture
    with pytest.raises(P2PCallError, match="no such device"):
        source.read()
    assert unplugged.closed == 1


def test_broken_pictures_are_skipped_up_to_a_bound() -> None:
    bad = av.InvalidDataError(1, "Invalid data")
    picture = av.VideoFrame(64, 48, "yuyv422")
    assert source_of(Opener(FakeContainer([bad, BlockingIOError(), bad, picture]))).read() is picture
    with pytest.raises(P2PCallError, match="invalid data"):
        source_of(Opener(FakeContainer([bad] * 40))).read()
    assert source_of(Opener(FakeContainer([]))).read() is None


def test_a_fast_camera_is_thinned_out() -> None:
    ticks = iter(range(1_000))
    container = FakeContainer()
    source = CaptureSource(Capture("c", "x", "f"), 15, Opener(container), lambda: next(ticks) / 30)
    for _ in range(15):
        assert source.read() is not None
    assert next(ticks) == pytest.approx(30, abs=2)


def test_close_while_another_thread_reads() -> None:
    entered, go = threading.Event(), threading.Event()

    class Slow(FakeContainer):
        def decode(self, *, video: int) -> Iterator[av.VideoFrame]:
            entered.set()
            go.wait(10)
            yield av.VideoFrame(64, 48, "yuyv422")

    container = Slow()
    source = source_of(Opener(container))
    got: list[object] = ["nothing"]

    def read() -> None:
        got[0] = source.read()

    thread = threading.Thread(target=read)
    thread.start()
    entered.wait(10)
    source.close()
    assert container.closed == 0  # the reading thread is in it
    go.set()
    thread.join(10)
    assert got == [None]
    assert container.closed == 1
