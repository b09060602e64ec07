"""What a call needs on this side before it may ring: the libraries of the media, the devices, a window.

Rules: the libraries take half a second to load and are loaded in a thread: whoever dials knocks and waits meanwhile.
Nothing that is imported before `prepare` imports them, and what this call can't need is not loaded at all: for voice
alone neither FFmpeg nor numpy (30 MiB). No device captures anything here. Leaves out when a call begins with it
(`caller`, `run`).
"""

import gc
from typing import TYPE_CHECKING

from p2pcall import events
from p2pcall.engine.offload import offload
from p2pcall.engine.settings import CallSettings
from p2pcall.engine.ui import Ui
from p2pcall.env import Env

if TYPE_CHECKING:
    from p2pcall.engine.devices import Devices


async def prepare(settings: CallSettings, env: Env, ui: Ui) -> "Devices":
    """Everything that `settings` names, looked for; what people should know of it is told.

    P2PCallError with exit 6 or 2. Whoever takes the devices closes them.
    """
    await offload(lambda: _load(settings, ui))
    from p2pcall.engine.devices import WINDOW, look_for_devices

    window = None
    if settings.media.video_out == WINDOW and not settings.echo:
        from p2pcall.engine.windowcheck import WindowCheck

        window = WindowCheck(env.environ)
    devices = None
    try:
        devices = await look_for_devices(settings, env)
        if window is not None:
            await window.result()
    except BaseException:
        if devices is not None:
            devices.close()
        raise
    finally:
        if window is not None:
            window.close()
    for warning in devices.warnings:
        ui.emit(events.Warning(warning.slug, warning.text))
    gc.enable()
    gc.freeze()  # the libraries' objects are there to stay: looking through them holds the sound up for 50 ms
    return devices


def _load(settings: CallSettings, ui: Ui) -> None:
    """Whatever the call itself imports. The devices' own libraries come with them."""
    from p2pcall.codec import opus
    from p2pcall.engine import live, verification  # noqa: F401  (loaded for the call)

    opus.load()
    if settings.echo or {settings.media.video_in, settings.media.video_out} != {"none"}:
        from p2pcall.codec import video  # noqa: F401  (the same)
    ui.load_view(settings.media.video_out)
