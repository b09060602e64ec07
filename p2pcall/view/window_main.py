"""The window's process: starts SDL and the window (`window_app`), and ends with the call.

Rules: one thread uses SDL and reads the pipe; another only waits for the pipe to close and then ends the process, even
if the first one hangs. A window that fails reports it in one line and ends. Events that a stopped call does not read
are dropped. `main` imports SDL; that may fail.
"""

import ctypes
import os
import signal
import sys
from collections.abc import Callable

from .sanitize import ERROR_CELLS, clean
from .shared_latest import attach
from .window_app import App
from .window_background import Background
from .window_link import AREAS, Failed, Ready, WindowEvent, pack_event
from .window_sdl import environment, load_sdl, no_display, start


def main(memory: int, end: int) -> None:
    """Run the window. Wake-ups come on stdin, events go to stdout; the arguments are descriptors: the shared memory,
    and a pipe that closes with the call.
    """
    out = os.dup(1)
    os.set_blocking(out, False)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # libraries may print there, too

    def tell(event: WindowEvent) -> None:
        try:
            os.write(out, pack_event(event))  # a line is short enough to be written whole or not at all
        except BlockingIOError:
            pass
        except OSError:
            os._exit(0)  # no reader: the call is gone

    def bug(kind: type[BaseException], error: BaseException, _: object) -> None:
        tell(Failed("window-failed", f"the window failed: {kind.__name__}: {clean(str(error), ERROR_CELLS)}"))

    sys.excepthook = bug
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    beside = Background(end)
    beside.start()
    failed = no_display(os.environ)
    if failed is None:
        os.environ.update(environment(os.environ))
        failed = _run(memory, beside, tell)
    if failed is not None:
        tell(failed)
        sys.exit(1)


def _run(memory: int, beside: Background, tell: Callable[[WindowEvent], None]) -> Failed | None:
    sdl2 = load_sdl()
    driver = start(sdl2, os.environ)
    if isinstance(driver, Failed):
        return driver
    areas = attach(memory, AREAS)
    base = ctypes.addressof(ctypes.c_char.from_buffer(areas[0].memory))
    sdl2.SDL_SetYUVConversionMode(sdl2.surface.SDL_YUV_CONVERSION_BT601)
    app = App(sdl2, areas, base, tell, beside)
    tell(Ready(driver))
    app.run()
    sdl2.SDL_Quit()
    return None
