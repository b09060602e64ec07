"""Preparation on this side before a call may ring: the media libraries, the devices, a window.

Rules: the libraries take half a second to load, so a thread loads them while a dialler knocks and waits. Modules that
are imported before `prepare` do not import them. Libraries that this call cannot need are not loaded at all: a voice
call loads neither FFmpeg nor numpy (30 MiB). No device captures anything here. Left out: when the preparation begins
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
    """Find all devices that `settings` names, and show warnings about them.

    P2PCallError with exit 6 or 2. The caller must close the devices.
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
    gc.freeze()  # the libraries' objects stay alive; collecting through them delays the sound by 50 ms
    return devices


def _load(settings: CallSettings, ui: Ui) -> None:
    """Load the modules that the call itself imports. Devices load their own libraries."""
    from p2pcall.codec import opus
    from p2pcall.engine import live, verification  # noqa: F401  (loaded for the call)

    opus.load()
    if settings.echo or {settings.media.video_in, settings.media.video_out} != {"none"}:
        from p2pcall.codec import video  # noqa: F401  (the same)
    ui.load_view(settings.media.video_out)
