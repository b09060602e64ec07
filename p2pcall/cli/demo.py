"""`p2pcall demo`: its options, and where its picture is shown. Left out: the call itself (`p2pcall.demo`)."""

import asyncio
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

from p2pcall.cli.options import check_video_out
from p2pcall.cli.output import CommandOutput
from p2pcall.cli.values import usage
from p2pcall.cli.views import PlainView
from p2pcall.demo.process import HOST
from p2pcall.demo.run import whole_call
from p2pcall.device.drawn import HEIGHT, WIDTH
from p2pcall.engine.policy import Announce
from p2pcall.engine.settings import CallSettings, MediaSettings
from p2pcall.engine.ui import CallView
from p2pcall.env import Env
from p2pcall.errors import ExitCode
from p2pcall.types import Profile
from p2pcall.view.hud import HudState

UNSEEN_SIZE: Final = (WIDTH, HEIGHT)
"""The picture size to ask for if no terminal shows it."""
MAX_SECONDS: Final = 600.0
"""Longest demo, so that the call ends by itself; nobody watches longer."""


class DemoOutput(CommandOutput):
    """A `CommandOutput` that always has a view: if no terminal draws, the picture is still decoded and counted."""

    def open_view(self, mode: str, on_key: Callable[[str], None]) -> CallView | None:
        """The terminal or a window, else `Unseen`."""
        view = super().open_view(mode, on_key)
        if view is None:
            view = Unseen(self, None, on_key)
        if isinstance(view, PlainView):
            view.pixels = UNSEEN_SIZE
        return view


class Unseen(PlainView):
    """Takes the picture if there is no terminal to show it."""

    def set_hud(self, state: HudState) -> None:
        """Shows nothing."""


def run_demo(
    env: Env,
    *,
    seconds: float,
    video_out: str,
    confirm: bool,
    profile: Profile,
    json: bool,
    plain: bool,
) -> ExitCode:
    """The whole demo; P2PCallError for options that do not go together."""
    if not 1 <= seconds <= MAX_SECONDS:
        raise usage(f"--seconds is 1 to {MAX_SECONDS:.0f}, not {seconds:g}")
    if video_out == "-":
        raise usage("the demo's summary goes to standard output, the picture cannot", "--video-out demo.mkv")
    check_video_out(video_out)
    settings = CallSettings(
        name="you",
        port=0,
        bind=(HOST,),
        announce=Announce.OFF,
        max_duration_s=seconds,
        confirm=confirm,
        media=MediaSettings("silence", "none", "test", video_out, profile=profile),
    )
    with (
        DemoOutput(env, json=json, plain=plain) as output,
        tempfile.TemporaryDirectory(prefix="p2pcall-demo-") as folder,
    ):
        return asyncio.run(whole_call(env, output, Path(folder), settings, json=json))
