"""What keys do in a call, beside those of the questions: what one opens Escape puts away."""

import asyncio
from pathlib import Path

import pytest
from msgspec.structs import replace
from seeing import Pair, with_a_call

from p2pcall import events
from p2pcall.engine import devices
from p2pcall.engine.settings import MediaSettings
from p2pcall.errors import ExitCode, P2PCallError
from p2pcall.types import Profile
from p2pcall.view.hud import TextLine, placeholder
from p2pcall.view.statusline import status_line


@pytest.mark.parametrize("box", ["?", "s", "i"])
def test_escape_puts_away_what_a_key_has_opened(tmp_path: Path, box: str) -> None:
    async def scene(pair: Pair) -> None:
        alice = pair.alice_ui
        alice.press(box)
        hud = alice.view.hud
        assert hud.show_help or hud.show_stats or hud.show_verify
        alice.press("escape")
        hud = alice.view.hud
        assert not (hud.show_help or hud.show_stats or hud.show_verify)
        alice.press("escape")
        assert not alice.of(events.Ended)
        alice.press("q")
        await pair.end()

    with_a_call(tmp_path, scene)


def test_the_figures_say_by_which_profile_voice_is_sent(tmp_path: Path) -> None:
    async def scene(pair: Pair) -> None:
        for shown in ("normal", "safe"):
            await asyncio.sleep(1.5)
            assert pair.alice_ui.view.hud.stats["profile"] == shown
            pair.alice_ui.press("p")
        pair.alice_ui.press("q")
        await pair.end()

    with_a_call(tmp_path, scene)


def test_p_sends_voice_by_the_next_profile_and_says_what_that_trades(tmp_path: Path) -> None:
    async def scene(pair: Pair) -> None:
        alice = pair.alice_ui
        assert alice.view.hud.profile == "fast"
        for shown, told in (("", "normal: "), ("safe", "safe: "), ("fast", "fast: ")):
            alice.press("p")
            assert alice.view.hud.profile == shown
            assert alice.view.hud.notice.startswith(told)
        alice.press("q")
        await pair.end()

    media = MediaSettings("silence", "none", "none", "none", profile=Profile.FAST)
    with_a_call(tmp_path, scene, media=media)


@pytest.mark.parametrize(
    ("video_in", "told"),
    [
        ("none", "no camera in this call: call again with --video-in camera"),
        (None, "no camera found: plug one in, then call again"),
    ],
)
def test_v_without_a_camera_says_why_and_what_would_help(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, video_in: str | None, told: str
) -> None:
    def nothing_there(spec: str, *_: object, **__: object) -> None:
        raise P2PCallError("no-camera", f"there is no {spec}", ExitCode.DEVICE)

    async def scene(pair: Pair) -> None:
        alice = pair.alice_ui
        alice.press("v")
        assert alice.view.hud.notice == told
        assert told in plain(status_line(alice.view.hud, 80))
        alice.press("q")
        await pair.end()

    monkeypatch.setattr(devices, "open_video_source", nothing_there)
    with_a_call(tmp_path, scene, media=MediaSettings("silence", "none", video_in, "none"))


@pytest.mark.parametrize(
    ("video_out", "told"),
    [
        ("auto", "waiting for the picture…"),
        ("window", "waiting for the picture…"),
        ("none", "picture off"),
        ("seen.mkv", "picture goes to seen.mkv"),
    ],
)
def test_who_wants_no_picture_does_not_wait_for_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, video_out: str, told: str
) -> None:
    async def scene(pair: Pair) -> None:
        alice = pair.alice_ui
        filming = replace(alice.view.hud, remote_video=True)
        assert plain(placeholder(filming, 60)[1]) == told
        alice.press("q")
        await pair.end()

    monkeypatch.chdir(tmp_path)
    with_a_call(tmp_path, scene, media=MediaSettings("silence", "none", "none", video_out))


def plain(line: TextLine) -> str:
    return "".join(text for text, _ in line)


def test_figures_say_what_they_are_and_what_is_not_known(tmp_path: Path) -> None:
    async def scene(pair: Pair) -> None:
        alice = pair.alice_ui
        await alice.wait(events.Stats)
        shown = alice.view.hud.stats
        assert shown["picture"] == "none received"
        assert shown["lost"] == "0.0% of the sound"
        assert shown["processor"].endswith("% of one core")
        assert "-" not in shown.values()
        alice.press("q")
        await pair.end()

    with_a_call(tmp_path, scene)
