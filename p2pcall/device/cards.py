"""PortAudio by name: loading it, finding a sound card, and what its errors mean to people.

Rules: sounddevice is imported here only, and only when a sound card is asked for; a missing library is a
plain error with the command that mends it. Devices are matched by name, never by number, because PortAudio
numbers them anew at each start. PortAudio waits for ever for a sound server that hangs: cards are looked for
and streams closed in threads of their own, and what PortAudio is stuck in is left behind. Leaves out what a
stream does (`audio`).
"""

import atexit
import contextlib
import ctypes
import importlib
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, Final, Literal, TypeVar
from weakref import WeakSet

from msgspec import Struct

from p2pcall.device.base import Device, device_error
from p2pcall.errors import P2PCallError
from p2pcall.media.constants import SAMPLE_RATE_HZ

Direction = Literal["input", "output"]
_T = TypeVar("_T")
WORD: Final = {"input": "microphone", "output": "speaker"}
STREAM: Final = {"input": "RawInputStream", "output": "RawOutputStream"}
OPTION: Final = {"input": "--audio-in", "output": "--audio-out"}
MAX_CARDS_NAMED: Final = 6
"""So many names are in a hint; a machine with a sound server may have dozens."""
MENDS: Final = {
    "linux": "`apt-get install libportaudio2` (Fedora: `dnf install portaudio`), or call with `{option} none`",
    "darwin": "`brew install portaudio`, or call with `{option} none`",
}


_ALSA_SAYS: Final = ctypes.CFUNCTYPE(
    None, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p
)
_say_nothing: Any = _ALSA_SAYS(lambda *_: None)
"""For `_hush_alsa`; lives as long as the module, because libasound keeps the pointer."""


CARD_OPEN_WAIT_S: Final = 5.0
"""For PortAudio to come to an end with what it does, where a thread waits: cards take a second or two to open."""
BUSY_WAIT_S: Final = 1.0
"""The same for what the loop waits for. Closing takes some 30 ms."""
LOOK_WAIT_S: Final = 5.0
"""For PortAudio to start and look at all cards."""
EXIT_WAIT_S: Final = 2.0
"""For streams to close before the process ends."""

_portaudio = threading.Lock()
_open_streams: WeakSet[Any] = WeakSet()
_closing: set[threading.Thread] = set()
"""PortAudio is one for the whole process, so these are too: it takes one call at a time, and must not be
restarted while a stream is open.
"""


class Card(Struct, frozen=True):
    """One direction of a sound card: PortAudio's number now, and with how many channels it opens."""

    index: int
    name: str
    direction: Direction
    channels: int


def load_portaudio(direction: Direction = "output") -> Any:
    """The module `sounddevice`; raises P2PCallError when it or PortAudio itself is missing."""
    option = OPTION[direction]
    try:
        module = importlib.import_module("sounddevice")
    except ImportError as error:
        hint = f"`pip install sounddevice`, or call with `{option} none`"
        raise device_error("no-portaudio", "the Python package sounddevice is missing", hint) from error
    except OSError as error:
        hint = MENDS.get(sys.platform, "install PortAudio, or call with `{option} none`").format(
            option=option
        )
        text = "the PortAudio library is missing, and with it microphone and speaker"
        raise device_error("no-portaudio", text, hint) from error
    _hush_alsa()
    atexit.unregister(module._exit_handler)  # it closes what is open, and may wait for ever
    atexit.unregister(_end)
    atexit.register(_end, module)
    return module


def find_card(spec: str, direction: Direction) -> Card:
    """The card named `default`, or the only one with `spec` in its name (any case; a whole name comes first).

    Raises P2PCallError when there is none, or several, or the sound server hangs. May block for `LOOK_WAIT_S` while
    PortAudio looks for hardware: it looks once when it starts, so what is not found is looked for again after a
    restart of it, if no stream is open.
    """
    return _looked(lambda: _search(spec, direction), direction)


def _looked(look: Callable[[], _T], direction: Direction) -> _T:
    """What it finds, in a thread of its own, which is left behind when the sound server hangs."""
    found: list[_T | P2PCallError] = []

    def work() -> None:
        try:
            found.append(look())
        except P2PCallError as error:
            found.append(error)

    thread = threading.Thread(target=work, name="p2pcall-look", daemon=True)
    thread.start()
    thread.join(LOOK_WAIT_S)
    result = found[0] if found else _stuck(direction)
    if isinstance(result, P2PCallError):
        raise result
    return result


def _search(spec: str, direction: Direction) -> Card:
    with _exclusive(direction, BUSY_WAIT_S):
        sd = load_portaudio(direction)
        try:
            return _find(sd, spec, direction)
        except P2PCallError:
            if _open_streams or not _restart(sd):
                raise
        return _find(sd, spec, direction)


@contextlib.contextmanager
def _exclusive(direction: Direction, wait_s: float) -> Iterator[None]:
    """PortAudio for oneself, all streams closed that are to be; raises P2PCallError when it is stuck in a call."""
    deadline = time.monotonic() + wait_s
    for thread in list(_closing):
        thread.join(max(0.0, deadline - time.monotonic()))
    if not _portaudio.acquire(timeout=max(0.0, deadline - time.monotonic())):
        raise _stuck(direction)
    try:
        yield
    finally:
        _portaudio.release()


def _find(sd: Any, spec: str, direction: Direction) -> Card:
    if spec == "default":
        try:
            row = sd.query_devices(kind=direction)
        except (sd.PortAudioError, ValueError) as error:
            raise _none_at_all(direction) from error
    else:
        row = _only_match(spec, _rows(sd, direction), direction)
    return Card(row["index"], row["name"], direction, _channels(sd, row, direction))


def _restart(sd: Any) -> bool:
    """Starts PortAudio anew; False when it cannot."""
    with contextlib.suppress(sd.PortAudioError):  # it did not start the last time
        sd._terminate()
    try:
        sd._initialize()
    except sd.PortAudioError:
        return False
    return True


def open_stream(card: Card, period_samples: int, buffer_s: float, wanted: Callable[[], bool]) -> Any:
    """Opens and starts a stream on `card` that moves so much at once; end it by `close_stream`. Raises P2PCallError.

    May block for `CARD_OPEN_WAIT_S`, and as long as the sound server likes; None if it is not `wanted` any more.
    """
    sd = load_portaudio(card.direction)
    stream = None
    try:
        with _exclusive(card.direction, CARD_OPEN_WAIT_S):
            if not wanted():
                return None
            numbers = [row["index"] for row in _rows(sd, card.direction) if row["name"] == card.name]
            if not numbers:
                raise ValueError("it went away")
            index = card.index if card.index in numbers else numbers[0]
            _set_periods(sd, 1 + round(buffer_s * SAMPLE_RATE_HZ) // period_samples)
            stream = getattr(sd, STREAM[card.direction])(
                device=index,
                channels=card.channels,
                samplerate=SAMPLE_RATE_HZ,
                blocksize=period_samples,
                dtype="int16",
                latency=buffer_s,
            )
            _open_streams.add(stream)
            stream.start()
    except (sd.PortAudioError, ValueError, OSError) as error:
        if stream is not None:
            _close(stream)
        raise open_error(card, error) from error
    return stream


def _set_periods(sd: Any, count: int) -> None:
    """Into how many periods PortAudio divides the buffers that are opened from now on, where it has that: with ALSA.

    It would be four: a buffer of 100 ms gives 30 ms at once, whatever `blocksize` says. Spec: pa_linux_alsa.h.
    """
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(sd._libname).PaAlsa_SetNumPeriods(count)


def errors(direction: Direction) -> tuple[type[Exception], ...]:
    """What calls of an open stream raise when its card has gone."""
    return load_portaudio(direction).PortAudioError, ValueError, OSError


def close_stream(stream: Any, *, drain: bool = False) -> None:
    """Ends a stream, in a thread; never waits.

    `drain`: what the card has in hand is played first; some have two seconds, and take back what is not played yet.
    """

    def close() -> None:
        _close(stream, drain=drain)
        _closing.discard(thread)

    thread = threading.Thread(target=close, name="p2pcall-close", daemon=True)
    _closing.add(thread)
    thread.start()


def _close(stream: Any, *, drain: bool = False) -> None:
    if drain:  # takes its time, and nothing else of PortAudio: others need not wait for it
        stream.stop(ignore_errors=True)
    with _portaudio:
        stream.close(ignore_errors=True)
        _open_streams.discard(stream)


def _end(sd: Any) -> None:
    """At the interpreter's end; where PortAudio is stuck it is left alone."""
    with contextlib.suppress(P2PCallError), _exclusive("output", EXIT_WAIT_S):
        if not _open_streams:
            sd._exit_handler()


def list_cards() -> list[Device]:
    """Microphones, then speakers; raises P2PCallError without PortAudio, and when the sound server hangs."""
    return _looked(_all_cards, "output")


def _all_cards() -> list[Device]:
    sd = load_portaudio()
    out = []
    for direction, word in WORD.items():
        try:
            default = sd.query_devices(kind=direction)["index"]
        except (sd.PortAudioError, ValueError):
            default = -1
        out += [Device(word, row["name"], row["index"] == default) for row in _rows(sd, direction)]
    return out


def open_error(card: Card, error: Exception) -> P2PCallError:
    """What a failure of PortAudio to open or start `card` means."""
    word, option = WORD[card.direction], OPTION[card.direction]
    reason = " ".join(str(error).split("[")[0].lower().split()) or "unknown"
    hint = f"see who uses it, take another of `p2pcall devices`, or `{option} none`"
    return device_error("device-open", f"the {word} {card.name} cannot be opened: {reason}", hint)


def _stuck(direction: Direction) -> P2PCallError:
    word, option = WORD[direction], OPTION[direction]
    hint = f"restart the sound server, or call with `{option} none`"
    return device_error("device-stuck", f"the {word} cannot be had: the sound server does not answer", hint)


def _hush_alsa() -> None:
    """Keeps libasound from writing to standard error (each underrun, each probe): the terminal has a
    picture on it.
    """
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):  # PortAudio without ALSA
            ctypes.CDLL("libasound.so.2").snd_lib_error_set_handler(_say_nothing)


def _rows(sd: Any, direction: str) -> list[Any]:
    """None while PortAudio itself is not running: it did not start again."""
    try:
        return [row for row in sd.query_devices() if row[f"max_{direction}_channels"] > 0]
    except sd.PortAudioError:
        return []


def _only_match(spec: str, rows: list[Any], direction: Direction) -> Any:
    wanted = spec.casefold()
    found = [row for row in rows if row["name"].casefold() == wanted]
    found = found or [row for row in rows if wanted in row["name"].casefold()]
    names = {row["name"] for row in found}
    if len(names) == 1:
        return found[0]
    if not found:
        raise _no_such(spec, rows, direction)
    text = f"{spec!r} fits several: {', '.join(sorted(names))}"
    raise device_error("device-ambiguous", text, "give more of the name")


def _no_such(spec: str, rows: list[Any], direction: Direction) -> P2PCallError:
    """What was asked for, and what there is instead."""
    word, text = WORD[direction], f"there is no {WORD[direction]} {spec!r}"
    here = sorted({row["name"] for row in rows})
    if not here:
        return device_error(f"no-{word}", f"{text}, nor any other", _none_at_all(direction).hint)
    listed = ", ".join(here[:MAX_CARDS_NAMED]) + (", ..." if len(here) > MAX_CARDS_NAMED else "")
    return device_error("no-such-device", text, f"there is {listed}; `p2pcall devices` lists all names")


def _none_at_all(direction: Direction) -> P2PCallError:
    word, option = WORD[direction], OPTION[direction]
    hint = (
        f"plug one in or start the sound server (`p2pcall devices` lists all), or call with `{option} none`"
    )
    return device_error(f"no-{word}", f"there is no {word}", hint)


def _channels(sd: Any, row: Any, direction: Direction) -> int:
    """One channel where the card has it so, else two. Raises P2PCallError when it takes neither."""
    check = sd.check_input_settings if direction == "input" else sd.check_output_settings
    most = min(2, row[f"max_{direction}_channels"])
    for channels in range(1, most + 1):
        try:
            check(device=row["index"], channels=channels, dtype="int16", samplerate=SAMPLE_RATE_HZ)
        except (sd.PortAudioError, ValueError) as error:
            if channels == most:
                raise open_error(Card(row["index"], row["name"], direction, channels), error) from error
        else:
            return channels
    raise _none_at_all(direction)
