"""`p2pcall play`: lists, plays and exports recordings of calls.

A recording that is not to be kept any longer is not played; in the home it is erased first. Everything is read once
before anything is played or written, so that a changed file is an error from the start.
"""

import asyncio
import json as jsonlib
import signal
import wave
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from p2pcall.cli.event_text import duration
from p2pcall.cli.output import CommandOutput
from p2pcall.cli.records import table
from p2pcall.cli.stdout import say
from p2pcall.cli.values import usage
from p2pcall.device.factory import open_audio_sink
from p2pcall.device.outfile import OutFile
from p2pcall.engine.playback import Contents, PlayedPiece, both, contents, pieces, side_by_side
from p2pcall.env import Env
from p2pcall.errors import ExitCode, P2PCallError
from p2pcall.media.constants import SAMPLE_BYTES, SAMPLE_RATE_HZ
from p2pcall.store.home import Home
from p2pcall.store.identity import load_or_create
from p2pcall.store.recording_keys import recording_keys
from p2pcall.store.recordings import (
    Entry,
    RecordingReader,
    all_recordings,
    erase_recording,
    expired,
)
from p2pcall.store.vault import Vault
from p2pcall.view.hud import HudState
from p2pcall.view.sanitize import clean

if TYPE_CHECKING:
    from p2pcall.engine.ui import CallView

SOUND_EXPORT: Final = ".wav"
REMUXED: Final = (".mka", ".mkv")
ENDS: Final = ("q", "ctrl-c", "escape", "closed", "eof")
BROKEN_OFF: Final = "the recording breaks off: the call or the machine ended before it was complete"


def _keys(env: Env, home: Home) -> Iterator[bytes]:
    own = load_or_create(home, env.entropy)
    return recording_keys(Vault(home, lambda: own), own)


@contextmanager
def _opened(env: Env, home: Home, path: Path) -> Iterator[RecordingReader]:
    """A recording to be read once. P2PCallError if there is none, it is not ours, damaged, or not kept any longer."""
    try:
        file = path.open("rb")
    except OSError as error:
        text = f"cannot read {path}: {(error.strerror or str(error)).lower()}"
        raise P2PCallError("no-recording", text, ExitCode.NOT_FOUND, "p2pcall play") from error
    with file:
        reader = RecordingReader(path, file, _keys(env, home))
        if reader.until <= env.clock.time():
            text = f"{path} was to be kept until {_day(reader.until)}, and is not played any more"
            raise P2PCallError("recording-expired", text, ExitCode.CONFIG, "delete it")
        yield reader


def _entries(env: Env, home: Home, path: Path) -> Iterator[Entry]:
    with _opened(env, home, path) as reader:
        yield from reader.entries()


def _day(epoch: float) -> str:
    return datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%d %H:%M")


def _row(reader: RecordingReader, found: Contents) -> dict[str, Any]:
    head = reader.head
    return {
        "file": str(reader.path),
        "name": clean(head.other.name),
        "call": head.call,
        "agreed": head.agreed_at,
        "until": reader.until,
        "seconds": round(found.seconds, 3),
        "pictures": found.pictures,
        "whole": reader.whole,
    }


def _print(env: Env, row: dict[str, Any]) -> None:
    env.stdout.write(jsonlib.dumps({"v": 1, **row}, separators=(",", ":")) + "\n")


def list_recordings(env: Env, home: Home, *, json: bool) -> ExitCode:
    """All recordings in the home; one that cannot be read is told, and the others are listed."""
    _erase_expired(env, home)
    rows = []
    for path in all_recordings(home):
        try:
            with _opened(env, home, path) as reader:
                rows.append(_row(reader, contents(reader.entries())))
        except P2PCallError as error:
            say(env, f"p2pcall: warning: {error.text}")
    if json:
        for row in rows:
            _print(env, row)
    elif rows:
        shown = [
            (row["name"], _day(row["agreed"]), duration(row["seconds"]), _day(row["until"]), row["file"])
            for row in rows
        ]
        table(env, shown, "with", "when (UTC)", "long", "kept until", "file")
    else:
        say(env, "no recordings: press r in a call, and the other side is asked")
    return ExitCode.OK


def _erase_expired(env: Env, home: Home) -> None:
    for path in expired(home, env.clock.time()):
        erase_recording(path)
        say(env, f"{path} was not to be kept any longer, and is erased")


def _looked_at(env: Env, home: Home, path: Path, *, json: bool) -> tuple[RecordingReader, Contents]:
    """Read it once, and say what it is."""
    with _opened(env, home, path) as reader:
        found = contents(reader.entries())
    if not reader.whole:
        say(env, f"p2pcall: warning: {BROKEN_OFF}")
    if json:
        _print(env, _row(reader, found))
    return reader, found


# ---- exporting


def export(env: Env, home: Home, file: str, to: str, *, force: bool, json: bool) -> ExitCode:
    """Write a recording to a file that is not sealed."""
    suffix = Path(to).suffix.lower()
    if suffix not in (SOUND_EXPORT, *REMUXED):
        raise usage(f"--to {to}: a .wav, .mka or .mkv file is written")
    path, out = Path(file), OutFile(to, force=force)
    out.on_note = lambda text: say(env, f"p2pcall: warning: {text}")
    out.check()
    _looked_at(env, home, path, json=json)
    part = Path(out.begin())
    try:
        if suffix == SOUND_EXPORT:
            _write_wav(part, pieces(_entries(env, home, path)))
        else:
            _remux(part, lambda: _entries(env, home, path), pictures=suffix == ".mkv")
        out.finish()
    except OSError as error:
        text = f"cannot write {to}: {(error.strerror or str(error)).lower()}"
        raise P2PCallError("file-not-writable", text, ExitCode.USAGE) from error
    if not json:
        say(env, f"{out.name} is written; whoever has it can play it")
    return ExitCode.OK


def _write_wav(path: Path, sound: Iterator[PlayedPiece]) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(SAMPLE_BYTES)
        file.setframerate(SAMPLE_RATE_HZ)
        for piece in sound:
            file.writeframes(side_by_side(piece))


def _remux(path: Path, entries: Callable[[], Iterator[Entry]], *, pictures: bool) -> None:
    from p2pcall.engine.remux import first_size, remux

    remux(entries(), path, first_size(entries()) if pictures else None)


# ---- playing


class Player:
    """Gives a speaker the sound of a recording, and a view its pictures."""

    def __init__(self, sound: Iterator[PlayedPiece], show: Callable[[bytes, bool], None] | None) -> None:
        """`show` is given the coded pictures when they are due, and whether each is a key."""
        self._pieces, self._show = sound, show
        self._ready = bytearray()
        self._over = False
        self.samples = 0
        self.ended = asyncio.Event()
        self.failure: P2PCallError | None = None

    def pull(self, samples: int) -> bytes:
        """The next so many samples; silence after the end."""
        size = samples * SAMPLE_BYTES
        while len(self._ready) < size and not self._over:
            self._next()
        pcm = bytes(self._ready[:size])
        del self._ready[:size]
        self.samples += samples
        if self._over and not pcm:
            self.ended.set()
        return pcm + bytes(size - len(pcm))

    def _next(self) -> None:
        try:
            piece = next(self._pieces, None)
        except P2PCallError as error:
            piece, self.failure = None, error
        if piece is None:
            self._over = True
            return
        self._ready += both(piece)
        if self._show is not None:
            for picture in piece.pictures:
                self._show(picture.data, True)


def play_recording(env: Env, home: Home, file: str, audio_out: str, *, json: bool, plain: bool) -> ExitCode:
    """Play it to its end, or until a key or Ctrl-C."""
    path = Path(file)
    reader, found = _looked_at(env, home, path, json=json)
    with CommandOutput(env, json=json, plain=plain) as output:
        if not json:
            when = _day(reader.head.agreed_at)
            text = f"the call with {clean(reader.head.other.name)}, {when} UTC, {duration(found.seconds)}"
            output.say(f"{text}: ctrl-c ends")
        asyncio.run(_play(env, home, path, reader, found, audio_out, output))
    return ExitCode.OK


async def _play(
    env: Env,
    home: Home,
    path: Path,
    reader: RecordingReader,
    found: Contents,
    audio_out: str,
    output: CommandOutput,
) -> None:
    loop = asyncio.get_running_loop()
    sink = open_audio_sink(audio_out, loop)
    player: Player | None = None

    def end(_: object = None) -> None:
        assert player is not None
        if isinstance(_, P2PCallError):
            player.failure = _
        player.ended.set()

    view = None
    if found.pictures:
        output.load_view("auto")
        view = output.open_view("auto", lambda key: end() if key in ENDS else None)
    show, close = _shown(view, loop)
    player = Player(pieces(_entries(env, home, path)), show)
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, end)
    sink.on_error = end
    try:
        if view is not None:
            hud = HudState(name=reader.head.other.name, phase="recording", remote_video=True)
            view.set_hud(hud)
        sink.start(player.pull)
        await player.ended.wait()
    finally:
        sink.stop()
        close()
    if player.failure is not None:
        raise player.failure


def _shown(
    view: "CallView | None", loop: asyncio.AbstractEventLoop
) -> tuple[Callable[[bytes, bool], None] | None, Callable[[], None]]:
    """Where coded pictures go, and what ends it."""
    if view is None:
        return None, lambda: None
    from p2pcall.engine.video import PlayoutThread

    playout = PlayoutThread(view, loop.call_soon_threadsafe)
    playout.start()

    def close() -> None:
        playout.stop()
        view.close()

    return playout.submit, close
