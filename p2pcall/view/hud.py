"""The text beside the picture: the state of a call, and the lines made from it; the boxes are in `boxes`. Pure.

The output is lines of `Segment`s (text and a role); `theme` gives roles their looks, `plainline` has none. Every
string that may come from the other side goes through `sanitize.clean` here, even if the caller has done it already. A
line is never wider than requested: the least important part is shortened or left out first.
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Final, NamedTuple

from msgspec import Struct, field

from .sanitize import (
    NAME_CELLS,
    PHASE_CELLS,
    WORD_CELLS,
    clean,
    clip,
    width,
)


class Role(StrEnum):
    """The purpose of a piece of text; `theme` defines its look."""

    TEXT = "text"
    NAME = "name"
    DIM = "dim"
    GOOD = "good"
    WARN = "warn"
    ALERT = "alert"
    KEY = "key"
    EDGE = "edge"


class Segment(NamedTuple):
    """A piece of a line in one role."""

    text: str
    role: Role = Role.TEXT


TextLine = tuple[Segment, ...]


class HudState(Struct, frozen=True):
    """Everything that the screen shows about a call as text; `Screen.set_hud` gets a new one after every change.

    `phase` is "" in a call, else a word or two for the time before and after it ("dialling", "ringing", "hung up").
    `known` is "new", "contact" or "verified". `protocol` is the full Noise name, `words` are the spoken words,
    `safety` the groups of the safety number; `show_verify` asks whether they are the same, `show_confirm` asks whether
    to hang up.
    `elsewhere` says where the other side's picture is if it is not here ("in a window"), `unshown` why none is drawn
    in the whole call ("picture off").
    `profile` is what voice is sent for, if it is not the usual ("fast").
    `notice` is one short sentence for the person, shown until a state without it comes.
    `question` is what the other side asks: our words for it, a sentence with their name, the keys that answer.
    `records`: this side records the call. `sends_sound`: it has sound to send.
    With `push_to_talk` the microphone is on while the space bar is held.
    `mic_height` and `speaker_height` are how loud both are: an index into `Signs.heights`; None before
    that is known.
    `stats` is shown in its own order, keys as labels, while `show_stats`.
    """

    name: str = ""
    known: str = "new"
    phase: str = ""
    protocol: str = ""
    words: tuple[str, ...] = ()
    safety: tuple[str, ...] = ()
    elapsed_s: float = 0.0
    delay_ms: float | None = None
    loss: float | None = None
    muted: bool = False
    video_on: bool = False
    remote_muted: bool = False
    remote_video: bool = False
    remote_records: bool = False
    records: bool = False
    sends_sound: bool = True
    push_to_talk: bool = False
    mic_height: int | None = None
    speaker_height: int | None = None
    stats: Mapping[str, str] = field(default_factory=dict)
    show_help: bool = False
    show_stats: bool = False
    show_verify: bool = False
    show_confirm: bool = False
    question: tuple[str, ...] = ()
    elsewhere: str = ""
    unshown: str = ""
    profile: str = ""
    notice: str = ""

    @property
    def boxed(self) -> bool:
        """Whether there is a box over the picture."""
        asks = self.show_verify or self.show_confirm or bool(self.question)
        return asks or self.show_help or self.show_stats

    @property
    def pinned(self) -> bool:
        """Whether the status line has something that must not fade."""
        return bool(self.notice or self.muted or self.remote_records or self.records)


NEWS: Final = (
    *("notice", "muted", "video_on", "remote_muted", "remote_video"),
    *("known", "remote_records", "records"),
)
"""What of a state is worth a look at the status line when it changes."""


KEY_HELP: Final = (
    ("m", "mute", "microphone on or off"),
    ("v", "camera", "camera on or off"),
    ("s", "figures", "figures of the call"),
    ("w", "picture", "picture in the next mode"),
    ("p", "profile", "voice: fast, normal, safe"),
    ("i", "verify", "who it is: words to compare"),
    ("r", "record", "record, if both agree"),
    ("k", "safe word", "who it is: the safe word"),
    ("?", "help", "these keys"),
    ("q", "hang up", "end the call"),
)
"""The keys in a call: key, short name for the status line, meaning for the help box."""
TALK_KEY: Final = ("space", "hold it to talk")
"""The first one with `push_to_talk`."""
WINDOW_KEYS: Final = (("f", "full screen and back"), ("o", "your own picture on or off"))
"""Further keys where the picture has a window of its own, and their meaning for the help box."""

_CIPHERS: Final = {
    "ChaChaPoly": ("ChaCha20-Poly1305", "ChaCha20"),
    "AESGCM": ("AES-256-GCM", "AES-GCM"),
}
_NOISE_PARTS: Final = 5
"""Parts of a protocol's name: Noise, pattern, DH, cipher, hash."""
_PERCENT_SHOWN: Final = 0.05
"""Smaller values are shown as 0 %."""
_PERCENT_WHOLE: Final = 9.95
"""Values from here on are shown without tenths."""
VERIFY_WHY: Final = "read the words to each other: both sides must see the same"


class Signs(NamedTuple):
    """The few non-ASCII characters, or their replacements in a locale without UTF-8."""

    lock: str
    verified: str
    record: str
    out: str
    """What is sent."""
    dot: str
    ellipsis: str
    heights: str
    """A meter, from nothing to the loudest."""
    edges: tuple[str, str, str, str, str, str]  # corners clockwise from the upper left, across, down


_UNICODE: Final = Signs("e2e", "✓", "●", "↑", "·", "…", "▁▂▃▄▅▆▇█", ("╭", "╮", "╯", "╰", "─", "│"))
_ASCII: Final = Signs("e2e", "ok", "*", ">", "|", "..", "01234567", ("+", "+", "+", "+", "-", "|"))


def signs(unicode: bool) -> Signs:
    """The characters for a locale with or without UTF-8."""
    return _UNICODE if unicode else _ASCII


def clock(seconds: float) -> str:
    """A duration for people: 0:07, 12:34, 1:02:03."""
    total = max(0, int(seconds))
    minutes, rest = total // 60, total % 60
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}" if minutes >= 60 else f"{minutes}:{rest:02}"


def percent(share: float) -> str:
    """A fraction of 1 as a percentage: 0 %, 0.4 %, 12 %."""
    value = 100 * min(1.0, max(0.0, share))
    return f"{value:.1f} %" if _PERCENT_SHOWN <= value < _PERCENT_WHOLE else f"{value:.0f} %"


def cipher(protocol: str) -> tuple[str, str]:
    """The cipher of a Noise name in a long and a short form; ("", "") if there is none."""
    parts = protocol.split("_")
    return (
        _CIPHERS.get(parts[3], (clean(parts[3], WORD_CELLS),) * 2) if len(parts) == _NOISE_PARTS else ("", "")
    )


def trust(known: str) -> str:
    """The word for people, used everywhere: a person is verified or not verified, whether a contact or new."""
    return "verified" if known == "verified" else "not verified"


def shown(text: str, limit: int, unicode: bool) -> str:
    """Any string, made safe, and reduced to ASCII if the locale has no more."""
    safe = clean(text, limit)
    return safe if unicode else clean(safe.encode("ascii", "replace").decode(), limit)


def joined(lines: Sequence[TextLine], separator: str) -> TextLine:
    """The non-empty lines joined into one, with the separator between them."""
    out: list[Segment] = []
    for line in lines:
        if line and out:
            out.append(Segment(separator, Role.DIM))
        out += line
    return tuple(out)


def line_width(line: TextLine) -> int:
    """Cells that a line takes."""
    return sum(width(segment.text) for segment in line)


def fill(line: TextLine, cells: int, role: Role = Role.TEXT) -> TextLine:
    """`line` cut or padded with spaces to exactly `cells`."""
    out: list[Segment] = []
    used = 0
    for segment in line:
        text = clip(segment.text, cells - used)
        if text:
            out.append(Segment(text, segment.role))
            used += width(text)
        if text != segment.text:
            break
    return (*out, Segment(" " * (cells - used), role)) if used < cells else tuple(out)


def indicator(state: HudState, unicode: bool = True) -> TextLine:
    """What is sent and who records, where there is no room or no time for the status line; () for neither."""
    sign = signs(unicode)
    records = state.records or state.remote_records
    parts = (
        (f"{sign.record} rec", Role.ALERT, records),
        (sign.out + sending(state), Role.GOOD, sending(state)),
    )
    return joined([(Segment(text, role),) for text, role, on in parts if on], " ")


def sending(state: HudState) -> str:
    """What leaves this side now: the microphone, the camera, both; "" for neither."""
    on = (("mic", state.sends_sound and not state.muted), ("cam", state.video_on))
    return "+".join(word for word, sent in on if sent)


def placeholder(state: HudState, cells: int, unicode: bool = True) -> list[TextLine]:
    """The text in place of a picture: the name and why there is no picture; lines of at most `cells`."""
    ellipsis = signs(unicode).ellipsis
    name = clip(shown(state.name, NAME_CELLS, unicode), cells, ellipsis)
    if state.phase:
        why = f"{shown(state.phase, PHASE_CELLS, unicode)}{ellipsis}"
    elif not state.remote_video:
        why = "camera off"
    elif state.unshown:
        why = shown(state.unshown, PHASE_CELLS, unicode)
    else:
        why = f"shown {state.elsewhere}" if state.elsewhere else f"waiting for the picture{ellipsis}"
    return [(Segment(name, Role.NAME),), (Segment(clip(why, cells, ellipsis), Role.DIM),)]
