"""SDL for the window's process: its display, its renderer, the names of its keys.

Rules: only displays on which a person sees a window are accepted (SDL also succeeds on an invisible one, and takes the
console of a machine without a desktop). A graphics card draws if there is one. OpenGL without a card takes four times
the CPU of SDL's software renderer, and starts more slowly. Left out: what is drawn (`window_app`).
"""

import ctypes
import ctypes.util
import importlib
import importlib.util
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from .keys import SPACE_DOWN
from .sanitize import ERROR_CELLS, clean
from .window_link import INSTEAD, Failed

DRIVERS: Final = ("x11", "wayland", "cocoa")
_SOFTWARE_GL: Final = (b"llvmpipe", b"softpipe", b"swrast", b"Software Rasterizer")
_GL_RENDERER: Final = 0x1F01
_RENDER_NODES: Final = Path("/dev/dri")

KEY_NAMES: Final = {
    "Return": "enter",
    "Keypad Enter": "enter",
    "Escape": "escape",
    "Tab": "tab",
    "Backspace": "backspace",
    "Up": "up",
    "Down": "down",
    "Left": "left",
    "Right": "right",
    "Home": "home",
    "End": "end",
    "Insert": "insert",
    "Delete": "delete",
    "PageUp": "page-up",
    "PageDown": "page-down",
    "F11": "f",
    "Space": SPACE_DOWN,
}
"""SDL's names of keys -> the terminal's names; F11 is the usual desktop key for `f`. A key's text comes separately."""


def load_sdl() -> Any:
    """The library's bindings."""
    return _bindings("sdl2")


def load_sdl_ttf() -> Any:
    """The bindings of SDL_ttf."""
    return _bindings("sdl2.sdlttf")


def _bindings(name: str) -> Any:
    """Import the bindings, without a search of the whole system if SDL is installed as a Python package.

    The search runs ldconfig, the compiler and the linker ten times, needs a folder for temporary files, and takes
    longer than all other work; its result is used only if the package is not installed.
    """
    search = ctypes.util.find_library
    if importlib.util.find_spec("sdl2dll") is not None:
        ctypes.util.find_library = lambda name: None
    try:
        return importlib.import_module(name)
    finally:
        ctypes.util.find_library = search


def environment(environ: Mapping[str, str], platform: str = sys.platform) -> dict[str, str]:
    """The environment for SDL before it starts; the user's own variables stay."""
    told = {
        "SDL_VIDEO_X11_WMCLASS": "p2pcall",
        "SDL_VIDEO_WAYLAND_WMCLASS": "p2pcall",
        "SDL_APP_NAME": "p2pcall",
        "SDL_FRAMEBUFFER_ACCELERATION": "0",  # SDL's software renderer uses shared memory with X, not OpenGL
        "SDL_RENDER_SCALE_QUALITY": "linear",
        "SDL_NO_SIGNAL_HANDLERS": "1",
        "SDL_VIDEO_MINIMIZE_ON_FOCUS_LOSS": "0",
        "SDL_VIDEO_X11_NET_WM_BYPASS_COMPOSITOR": "0",
        "PYSDL2_DLL_VERSION_CHECK": "0",
    }
    if platform == "linux":
        told["SDL_VIDEODRIVER"] = "x11,wayland" if environ.get("DISPLAY") else "wayland"
    return {name: value for name, value in told.items() if name not in environ}


def no_display(environ: Mapping[str, str], platform: str = sys.platform) -> Failed | None:
    """Why SDL cannot work here; None if it may work."""
    if platform != "linux" or environ.get("DISPLAY") or environ.get("WAYLAND_DISPLAY"):
        return None
    return Failed(
        "no-display", "there is no display for a window (DISPLAY and WAYLAND_DISPLAY are not set)", INSTEAD
    )


def start(sdl: Any, environ: Mapping[str, str]) -> str | Failed:
    """The name of SDL's video driver, or why there is no display that a person sees."""
    where = environ.get("DISPLAY") or environ.get("WAYLAND_DISPLAY") or "of this machine"
    if sdl.SDL_Init(sdl.SDL_INIT_VIDEO) != 0:
        why = clean((sdl.SDL_GetError() or b"").decode(errors="replace"), ERROR_CELLS)
        reason = "" if "not available" in why else f": {why[:1].lower()}{why[1:]}"  # that text adds nothing
        return Failed("no-display", f"the display {clean(where)} cannot be opened{reason}", INSTEAD)
    driver = (sdl.SDL_GetCurrentVideoDriver() or b"").decode(errors="replace")
    if driver not in DRIVERS:
        return Failed("no-display", f"SDL has no display but {clean(driver)}, which nobody sees", INSTEAD)
    return driver


def make_renderer(sdl: Any, window: Any, environ: Mapping[str, str], nodes: Path = _RENDER_NODES) -> Any:
    """The cheapest renderer here; falsy if there is none."""
    software = sdl.SDL_RENDERER_SOFTWARE
    if environ.get("SDL_RENDER_DRIVER"):
        return sdl.SDL_CreateRenderer(window, -1, 0)
    if _without_card(environ, nodes):
        return sdl.SDL_CreateRenderer(window, -1, software)
    renderer = sdl.SDL_CreateRenderer(window, -1, sdl.SDL_RENDERER_ACCELERATED)
    if renderer and any(name in _gl_renderer(sdl) for name in _SOFTWARE_GL):
        sdl.SDL_DestroyRenderer(renderer)
        renderer = None
    return renderer or sdl.SDL_CreateRenderer(window, -1, software)


def renderer_name(sdl: Any, renderer: Any) -> str:
    """SDL's name of the renderer."""
    info = sdl.SDL_RendererInfo()
    sdl.SDL_GetRendererInfo(renderer, ctypes.byref(info))
    return (info.name or b"").decode(errors="replace")


def _without_card(environ: Mapping[str, str], nodes: Path, platform: str = sys.platform) -> bool:
    """Whether no graphics card can draw: there is none, or the display is remote."""
    display = environ.get("DISPLAY", "")
    remote = not display.startswith((":", "unix", "/")) and not environ.get("WAYLAND_DISPLAY")
    return platform == "linux" and (remote or not any(nodes.glob("renderD*")))


def _gl_renderer(sdl: Any) -> bytes:
    """The renderer's name in OpenGL; empty if OpenGL is not used."""
    address = sdl.SDL_GL_GetProcAddress(b"glGetString") if sdl.SDL_GL_GetCurrentContext() else None
    if not address:
        return b""
    ask = ctypes.CFUNCTYPE(ctypes.c_char_p, ctypes.c_uint)(address)
    return ask(_GL_RENDERER) or b""


def key_name(sdl: Any, symbol: int, modifiers: int) -> str:
    """The terminal's name of a key without a character; "" for a key without a meaning."""
    if modifiers & sdl.KMOD_CTRL and 0x61 <= symbol <= 0x7A:
        return f"ctrl-{chr(symbol)}"
    return KEY_NAMES.get((sdl.SDL_GetKeyName(symbol) or b"").decode(errors="replace"), "")
