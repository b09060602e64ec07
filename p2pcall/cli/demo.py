"""`p2pcall demo`: a whole call on this machine, with a second process, real sockets and real codecs.

The other process shows a drawn person who sings a made-up phrase. It listens on the loopback address alone, so
nobody else can call it. The microphone and the camera of this machine are not touched. What came out of the
speaker's end is held against the phrase that was sung; the exit code is 0 only if both sound and picture arrived.
"""

import asyncio
import json as jsonlib
import os
import sys
import tempfile
from asyncio.subprocess import DEVNULL, PIPE, Process, create_subprocess_exec
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import p2pcall
from p2pcall import events
from p2pcall.cli.options import check_video_out
from p2pcall.cli.output import Output
from p2pcall.cli.values import usage
from p2pcall.cli.views import PlainView
from p2pcall.device.factory import open_audio_sink, open_video_sink
from p2pcall.device.outfile import OutFile
from p2pcall.engine import run
from p2pcall.engine.devices import SCREEN_MODES, WINDOW
from p2pcall.engine.settings import Announce, CallSettings, MediaSettings
from p2pcall.engine.soundcheck import SoundCheck
from p2pcall.engine.ui import CallView
from p2pcall.engine.windowcheck import WindowCheck
from p2pcall.env import Env
from p2pcall.errors import ExitCode, P2PCallError
from p2pcall.net.discovery import find
from p2pcall.store.home import Home
from p2pcall.view.hud import HudState

HOST = "127.0.0.1"
START_TIMEOUT_S = 20.0
"""For the other process to say that it listens, on a slow machine under load."""
STOP_TIMEOUT_S = 5.0
FIND_TIMEOUT_S = 4.0
"""mDNS checks for 1.3 s that a name is free before it answers to it."""
UNSEEN_SIZE = (320, 240)
"""The picture asked for where there is no terminal that shows it."""
MAX_SECONDS = 600.0
MIN_LIKENESS = 0.5
"""Least correlation of what was heard with what was sung: Opus at its rates gives 0.8 and more, noise 0.1."""


@dataclass(slots=True)
class Witness:
    """A `Ui` that passes everything on and remembers what the summary needs."""

    output: Output
    connected: events.Connected | None = None
    first_audio: events.FirstAudio | None = None
    first_video: events.FirstVideo | None = None

    def emit(self, event: events.Event) -> None:
        """Pass on and remember."""
        match event:
            case events.Connected():
                self.connected = event
            case events.FirstAudio():
                self.first_audio = event
            case events.FirstVideo():
                self.first_video = event
            case _:
                pass
        self.output.emit(event)

    @property
    def on_closed(self) -> Callable[[], None] | None:
        """Nobody reads stdout any more."""
        return self.output.on_closed

    @on_closed.setter
    def on_closed(self, call: Callable[[], None] | None) -> None:
        self.output.on_closed = call

    def progress(self, text: str) -> None:
        """Pass on."""
        self.output.progress(text)

    def ask(self, incoming: events.Incoming, *, camera: bool) -> Awaitable[str] | None:
        """Nobody calls a demo."""
        return None

    @property
    def can_ask(self) -> bool:
        """Nobody calls."""
        return False

    def ask_name(
        self, claimed: str, fingerprint: str, offered: str, problem: str
    ) -> Awaitable[str | None] | None:
        """Nobody is kept."""
        return None

    def waiting(self) -> None:
        """Nobody calls a demo."""

    def open_view(self, mode: str, on_key: Callable[[str], None]) -> CallView | None:
        """The terminal; without one that draws the picture is decoded and counted all the same."""
        view = self.output.open_view(mode, on_key)
        if view is None:
            view = Unseen(self.output, None, on_key)
        if isinstance(view, PlainView):
            view.pixels = UNSEEN_SIZE
        return view


class Unseen(PlainView):
    """Takes the picture where there is no terminal to show it."""

    def set_hud(self, state: HudState) -> None:
        """Nobody looks."""


class Person:
    """The second process."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self.sas: tuple[str, ...] = ()
        self._reader: asyncio.Task[None] | None = None

    @classmethod
    async def start(cls, home: Path, name: str, environ: Mapping[str, str]) -> "Person":
        """Start it: this same program, whatever lies in the current directory. P2PCallError if it cannot be."""
        argv = [
            sys.executable, "-P", "-m", "p2pcall", "listen", "--name", name, "--answer", "anyone",
            "--announce", "public", "--bind", HOST, "--port", "0", "--audio-in", "song", "--video-in", "person",
            "--audio-out", "none", "--video-out", "none", "--json", "--home", str(home),
        ]  # fmt: skip
        ours = str(Path(p2pcall.__file__).resolve().parent.parent)
        others = [path for path in environ.get("PYTHONPATH", "").split(os.pathsep) if path]
        env = {**environ, "PYTHONPATH": os.pathsep.join([ours, *others])}
        try:
            return cls(
                await create_subprocess_exec(*argv, stdin=DEVNULL, stdout=PIPE, stderr=DEVNULL, env=env)
            )
        except OSError as error:
            why = f"a second process cannot be started: {(error.strerror or str(error)).lower()}"
            raise P2PCallError("demo", why, ExitCode.BUG, "p2pcall listen --json") from error

    async def port(self) -> int:
        """Where it listens; P2PCallError if it does not."""
        try:
            async with asyncio.timeout(START_TIMEOUT_S):
                event = await self._event("listening")
        except TimeoutError as error:
            why = f"the other process did not start within {START_TIMEOUT_S:.0f} seconds"
            raise P2PCallError("demo", why, ExitCode.BUG, "p2pcall listen --json") from error
        self._reader = asyncio.create_task(self._read_on())
        return int(event["port"])

    async def _event(self, name: str) -> dict[str, Any]:
        assert self._process.stdout is not None
        while line := await self._process.stdout.readline():
            event: dict[str, Any] = jsonlib.loads(line)
            if event["event"] == name:
                return event
            if event["event"] == "error":
                why = f"the other process ended: {event['text']}"
                raise P2PCallError("demo", why, ExitCode(event["exit"]), event["hint"])
        raise P2PCallError("demo", "the other process ended", ExitCode.BUG, "p2pcall listen --json")

    async def _read_on(self) -> None:
        with suppress(P2PCallError):
            self.sas = tuple((await self._event("connected"))["sas"])
            await self._event("never")

    async def stop(self) -> None:
        """Ask it to end, and wait until it has."""
        with suppress(ProcessLookupError):
            self._process.terminate()
        try:
            async with asyncio.timeout(STOP_TIMEOUT_S):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
        if self._reader is not None:
            self._reader.cancel()


def run_demo(env: Env, *, seconds: float, video_out: str, confirm: bool, json: bool, plain: bool) -> ExitCode:
    """The whole demo; prints the summary on stdout (with `json` the call's events instead)."""
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
        media=MediaSettings("silence", "none", "test", video_out),
    )
    with (
        Output(env, json=json, plain=plain) as output,
        tempfile.TemporaryDirectory(prefix="p2pcall-demo-") as folder,
    ):
        return asyncio.run(_demo(env, output, Path(folder), settings, json=json))


async def _check(env: Env, output: Output, video_out: str) -> None:
    """P2PCallError for a picture that goes nowhere, before anything is started."""
    if video_out == WINDOW:
        await WindowCheck(env.environ).result()
    elif video_out not in (*SCREEN_MODES, "none"):
        open_video_sink(video_out).close()
        for text in OutFile(video_out).check():
            output.emit(events.Warning("file-found", text))


async def _demo(env: Env, output: Output, folder: Path, settings: CallSettings, *, json: bool) -> ExitCode:
    await _check(env, output, settings.media.video_out)
    name = f"demo-{env.entropy(2).hex()}"
    witness, check = Witness(output), SoundCheck()
    if not json:
        output.say("starting a second p2pcall that listens on this machine")
    person = await Person.start(folder / "person", name, env.environ)
    try:
        port = await person.port()
        found = None
        with suppress(P2PCallError):
            found = await find(name, FIND_TIMEOUT_S, (HOST,))
        settings = replace(settings, media=replace(settings.media, audio_out=_speaker()))
        target = name if found else f"{HOST}:{port}"
        home = Home.at(folder / "you")
        outcome = await run.dial(env, settings, home, witness, target, on_playout=check.heard)
    finally:
        await person.stop()
    if outcome.reason == "stdout-closed":
        return ExitCode.OK  # nobody wants to know any more
    if outcome.reason == "not-verified":
        return outcome.exit  # somebody tried that key: no verdict on sound and picture
    same_words = witness.connected is not None and witness.connected.sas == person.sas
    likeness = check.likeness()
    pictures = witness.first_video is not None and outcome.figures.frames_shown > 0
    heard = outcome.exit is ExitCode.OK and same_words and likeness >= MIN_LIKENESS
    good = heard and (pictures or settings.media.video_out == "none")
    if not json:
        found_by = "its name on the network (mDNS)" if found else "its address (no mDNS on this machine)"
        env.stdout.write(_summary(witness, outcome.figures, found_by, likeness, same_words))
        arrived = "sound and picture arrived" if pictures else "sound arrived, no picture was asked for"
        env.stdout.write(f"{arrived if good else 'sound or picture did NOT arrive'}\n")
    return ExitCode.OK if good else ExitCode.BUG


def _speaker() -> str:
    """The default speaker if there is one that works."""
    try:
        open_audio_sink("default", asyncio.get_running_loop()).stop()
    except P2PCallError:
        return "none"
    return "default"


def _summary(
    witness: Witness, figures: events.Figures, found_by: str, likeness: float, same_words: bool
) -> str:
    connected = witness.connected
    if connected is None:
        return ""

    def ms(value: float | None) -> str:
        return "not measured" if value is None else f"{value:.1f} ms"

    def after(value: float | None) -> str:
        return "none came" if value is None else f"{value:.1f} ms after the answer"

    first_audio = witness.first_audio.ms if witness.first_audio else None
    first_video = witness.first_video.ms if witness.first_video else None
    rows = {
        "found by": found_by,
        "protocol": connected.protocol,
        "words": f"{' '.join(connected.sas)} ({'the same' if same_words else 'NOT the same'} on both sides)",
        "set-up time": ms(connected.setup_ms),
        "first sound": after(first_audio),
        "first picture": after(first_video),
        "round trip": ms(figures.rtt_ms),
        "sound delay": f"{ms(figures.audio_delay_ms)}, capture to playout",
        "sound heard": f"{likeness:.0%} like what was sung",
        "frames shown": f"{figures.frames_shown}, {figures.video_size} pixels"
        if figures.video_size
        else "none",
        "loss": f"{figures.loss:.1%} of the sound, made up {figures.concealed:.1%}",
    }
    return "".join(f"{label:<14} {value}\n" for label, value in rows.items())
