"""SDL is told what it needs, and believed only where a person sees a window; a stand-in takes its place."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from p2pcall.view import window_text
from p2pcall.view.window_link import Failed
from p2pcall.view.window_sdl import environment, key_name, make_renderer, no_display, start


class FakeSdl(SimpleNamespace):
    """As much of SDL as is asked."""

    SDL_INIT_VIDEO = 0x20
    SDL_RENDERER_SOFTWARE, SDL_RENDERER_ACCELERATED = 1, 2
    KMOD_CTRL = 0xC0

    def __init__(
        self, driver: bytes | None = b"x11", *, accelerated: bool = True, drawn_by: bytes = b""
    ) -> None:
        super().__init__()
        self.driver, self.accelerated, self.drawn_by = driver, accelerated, drawn_by
        self.destroyed: list[str] = []

    def SDL_Init(self, _: int) -> int:
        return -1 if self.driver is None else 0

    def SDL_GetError(self) -> bytes:
        return b"No available \x1b[31mvideo device"

    def SDL_GetCurrentVideoDriver(self) -> bytes | None:
        return self.driver

    def SDL_CreateRenderer(self, _window: Any, _index: int, flags: int) -> str | None:
        if flags == self.SDL_RENDERER_SOFTWARE:
            return "software"
        return "card" if self.accelerated else None

    def SDL_DestroyRenderer(self, renderer: str) -> None:
        self.destroyed.append(renderer)

    def SDL_GL_GetCurrentContext(self) -> None:
        return None

    def SDL_GetKeyName(self, symbol: int) -> bytes:
        return {13: b"Return", 27: b"Escape", 1: b"F11", 2: b"Left Shift", 97: b"A"}[symbol]


@pytest.mark.parametrize("environ", [{}, {"DISPLAY": ""}, {"TERM": "xterm"}])
def test_without_a_display_sdl_is_not_even_started(environ: dict[str, str]) -> None:
    failed = no_display(environ, "linux")
    assert failed is not None
    assert failed.slug == "no-display"
    assert no_display(environ, "darwin") is None


@pytest.mark.parametrize("environ", [{"DISPLAY": ":0"}, {"WAYLAND_DISPLAY": "wayland-0"}])
def test_with_a_display_it_is(environ: dict[str, str]) -> None:
    assert no_display(environ, "linux") is None


def test_what_the_user_tells_sdl_counts_more() -> None:
    assert environment({"DISPLAY": ":0"}, "linux")["SDL_VIDEODRIVER"] == "x11,wayland"
    assert environment({"WAYLAND_DISPLAY": "w"}, "linux")["SDL_VIDEODRIVER"] == "wayland"
    assert "SDL_VIDEODRIVER" not in environment({"SDL_VIDEODRIVER": "wayland", "DISPLAY": ":0"}, "linux")
    assert "SDL_VIDEODRIVER" not in environment({}, "darwin")


@pytest.mark.parametrize("driver", [b"x11", b"wayland", b"cocoa"])
def test_a_display_that_a_person_sees_is_taken(driver: bytes) -> None:
    assert start(FakeSdl(driver), {"DISPLAY": ":0"}) == driver.decode()


@pytest.mark.parametrize("driver", [b"offscreen", b"dummy", b"KMSDRM", b""])
def test_one_that_nobody_sees_is_refused(driver: bytes) -> None:
    failed = start(FakeSdl(driver), {"DISPLAY": ":0"})
    assert isinstance(failed, Failed)
    assert "nobody sees" in failed.text


def test_why_sdl_does_not_start_is_told_without_control_characters() -> None:
    failed = start(FakeSdl(None), {"DISPLAY": ":9\x1b]2;x\x07"})
    assert isinstance(failed, Failed)
    assert failed.text == "the display :9]2;x cannot be opened: no available [31mvideo device"


def test_a_card_draws_if_there_is_one(tmp_path: Path) -> None:
    assert make_renderer(FakeSdl(), None, {"DISPLAY": ":0"}, tmp_path) == "software", "no card"
    (tmp_path / "renderD128").touch()
    assert make_renderer(FakeSdl(), None, {"DISPLAY": ":0"}, tmp_path) == "card"
    assert make_renderer(FakeSdl(accelerated=False), None, {"DISPLAY": ":0"}, tmp_path) == "software"
    assert make_renderer(FakeSdl(), None, {"DISPLAY": "far:10.0"}, tmp_path) == "software", "over a network"
    assert (
        make_renderer(FakeSdl(), None, {"DISPLAY": "far:10", "SDL_RENDER_DRIVER": "opengl"}, tmp_path)
        == "card"
    )


def test_opengl_without_a_card_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "renderD128").touch()
    monkeypatch.setattr("p2pcall.view.window_sdl._gl_renderer", lambda sdl: sdl.drawn_by)
    sdl = FakeSdl(drawn_by=b"llvmpipe (LLVM 15.0.6, 256 bits)")
    assert make_renderer(sdl, None, {"DISPLAY": ":0"}, tmp_path) == "software"
    assert sdl.destroyed == ["card"]
    assert (
        make_renderer(FakeSdl(drawn_by=b"Mesa Intel(R) Graphics"), None, {"DISPLAY": ":0"}, tmp_path)
        == "card"
    )


def test_keys_have_the_terminals_names() -> None:
    sdl = FakeSdl()
    assert [key_name(sdl, symbol, 0) for symbol in (13, 27, 1, 2, 97)] == ["enter", "escape", "f", "", ""]
    assert key_name(sdl, ord("c"), 0x40) == "ctrl-c"
    assert key_name(sdl, ord("l"), 0x80) == "ctrl-l"


def test_a_face_is_found_by_fontconfig_else_where_systems_keep_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    face = tmp_path / "fonts" / "deep" / "DejaVuSansMono.ttf"
    face.parent.mkdir(parents=True)
    face.touch()
    tool = tmp_path / "bin" / "fc-match"
    tool.parent.mkdir()
    monkeypatch.setenv("PATH", str(tool.parent))
    monkeypatch.setattr(window_text, "_LINUX_FOLDERS", (str(tmp_path / "fonts"),))
    assert window_text.find_font(platform="linux") == str(face), "there is no fontconfig"
    for answer in ("exit 1", "echo /not/there", f"printf {face}"):
        tool.write_text(f"#!/bin/sh\n{answer}\n")
        tool.chmod(0o755)
        assert window_text.find_font(platform="linux") == str(face), answer
    monkeypatch.setattr(window_text, "_LINUX_FOLDERS", ())
    tool.write_text("#!/bin/sh\nexit 1\n")
    assert window_text.find_font(platform="linux") is None
