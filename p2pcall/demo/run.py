"""The call of the demo: a second process, real sockets and real codecs, and a summary at the end.

The microphone and the camera of this machine are not used. The sound at the speaker is compared with the phrase that
was sung; the exit code is 0 only if both sound and picture arrived. Left out: the options, and where the picture is
shown.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Final, Protocol

from msgspec import Struct
from msgspec.structs import replace

from p2pcall import events
from p2pcall.demo.process import HOST, CalleeProcess
from p2pcall.demo.soundcheck import SoundCheck
from p2pcall.device.factory import open_audio_sink, open_video_sink
from p2pcall.device.outfile import OutFile
from p2pcall.engine import run
from p2pcall.engine.devices import SCREEN_MODES, WINDOW
from p2pcall.engine.outcome import Outcome
from p2pcall.engine.settings import CallSettings
from p2pcall.engine.ui import CallView, Ui
from p2pcall.engine.windowcheck import WindowCheck
from p2pcall.env import Env
from p2pcall.errors import ExitCode, P2PCallError
from p2pcall.net.address import format_address
from p2pcall.net.discovery import find_peer
from p2pcall.store.home import Home

DEMO_FIND_TIMEOUT_S: Final = 4.0
"""mDNS checks for 1.3 s that a name is free before it answers to it."""
MIN_LIKENESS: Final = 0.5
"""Minimum correlation of the heard sound with the sung phrase: Opus at our rates gives 0.8 and more, noise 0.1."""


class Stage(Ui, Protocol):
    """Where the demo prints its lines and shows its picture."""

    def say(self, text: str) -> None:
        """A line for people."""


JUDGED_S: Final = 2.0
"""A call of this length has a second of sound (`soundcheck`) and a picture, even on a slow machine."""


class Witness(Struct):
    """A stage that passes everything on and stores what the summary needs."""

    output: Stage
    connected: events.Connected | None = None
    first_audio: events.FirstAudio | None = None
    first_video: events.FirstVideo | None = None

    def emit(self, event: events.Event) -> None:
        """Pass on and store."""
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
        """Called when nobody reads stdout any more."""
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
        """The demo keeps no contact."""
        return None

    def ask_code(self, name: str) -> Awaitable[str | None] | None:
        """The demo's other side wants none."""
        return None

    def waiting(self) -> None:
        """Nobody calls a demo."""

    def load_view(self, mode: str) -> None:
        """Pass on."""
        self.output.load_view(mode)

    def open_view(self, mode: str, on_key: Callable[[str], None]) -> CallView | None:
        """Pass on."""
        return self.output.open_view(mode, on_key)


async def _check(env: Env, output: Stage, video_out: str) -> None:
    """P2PCallError if the picture cannot be shown, before anything is started."""
    if video_out == WINDOW:
        await WindowCheck(env.environ).result()
    elif video_out not in (*SCREEN_MODES, "none"):
        open_video_sink(video_out).close()
        for text in OutFile(video_out).check():
            output.emit(events.Warning("file-found", text))


async def whole_call(
    env: Env, output: Stage, folder: Path, settings: CallSettings, *, json: bool
) -> ExitCode:
    """Start the other side with its home in `folder`, call it, and print the summary on stdout (with `json` the call's
    events instead). P2PCallError if the picture cannot be shown or the other side does not start.
    """
    await _check(env, output, settings.media.video_out)
    name = f"demo-{env.entropy(2).hex()}"
    witness, check = Witness(output), SoundCheck()
    if not json:
        output.say("starting a second p2pcall that listens on this machine")
    person = await CalleeProcess.start(folder / "person", name, env.environ)
    try:
        port = await person.port()
        found = None
        with suppress(P2PCallError):
            found = await find_peer(name, DEMO_FIND_TIMEOUT_S, (HOST,))
        settings = replace(settings, media=replace(settings.media, audio_out=_speaker()))
        # Not by its name: that would ask the system's resolver, too.
        target = format_address(found.addresses[0]) if found else f"{HOST}:{port}"
        home = Home.at(folder / "you")
        outcome = await run.run_dial(env, settings, home, witness, target, on_playout=check.heard)
    finally:
        await person.stop()
    if outcome.reason == "stdout-closed":
        return ExitCode.OK  # nobody reads the summary
    if outcome.reason == "not-verified":
        return outcome.exit  # the person pressed the key for wrong words: no verdict on sound and picture
    same_words = witness.connected is not None and witness.connected.sas == person.sas
    likeness = check.likeness()
    pictures = witness.first_video is not None and outcome.figures.frames_shown > 0
    heard = outcome.exit is ExitCode.OK and same_words and likeness >= MIN_LIKENESS
    good = heard and (pictures or settings.media.video_out == "none")
    if not json:
        found_by = "its name on the network (mDNS)" if found else "its address (no mDNS on this machine)"
        env.stdout.write(_summary(witness, outcome.figures, found_by, likeness, same_words))
        env.stdout.write(f"{_verdict(outcome, good=good, pictures=pictures)}\n")
    return ExitCode.OK if good else ExitCode.BUG


def _verdict(outcome: Outcome, *, good: bool, pictures: bool) -> str:
    """The last line for people."""
    if good:
        return "sound and picture arrived" if pictures else "sound arrived, no picture was asked for"
    if outcome.by == "local" and outcome.duration_s < JUDGED_S:
        return "hung up too soon to tell whether sound and picture arrive"
    return "sound or picture did NOT arrive"


def _speaker() -> str:
    """The default speaker, if a working one exists."""
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
