"""The text beside the picture: the state of a call, and the lines and boxes made from it. Pure.

The output is lines of `Segment`s (text and a role); `theme` gives roles their looks, `plainline` has none. Every
string that may come from the other side goes through `sanitize.clean` here, even if the caller has done it already. A
line is never wider than requested: the least important part is shortened or left out first.
"""

import re
import sys
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Final, NamedTuple

from msgspec import Struct, field

from p2pcall.proto.constants import SAFETY_HALF_GROUPS

from .sanitize import (
    GROUP_CELLS,
    LINE_CELLS,
    NAME_CELLS,
    PHASE_CELLS,
    TEXT_CELLS,
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
_FRAME_CELLS: Final = 4
"""Cells for an edge and a space on both sides of a box."""
_LEAST_BOX_CELLS: Final = 8
"""A box with less room inside is not drawn."""
_ROOM_FOR_TITLE_CELLS: Final = 24
"""From this width on the title of the help says how it is closed."""
_LABEL_CELLS: Final = 16
_VALUE_CELLS: Final = 44
_NOISE_PARTS: Final = 5
"""Parts of a protocol's name: Noise, pattern, DH, cipher, hash."""
_PERCENT_SHOWN: Final = 0.05
"""Smaller values are shown as 0 %."""
_PERCENT_WHOLE: Final = 9.95
"""Values from here on are shown without tenths."""
_VERIFY_LABEL_CELLS: Final = 15
_VERIFY_VALUE_CELLS: Final = 46
"""Room for the four longest words of the list with gaps; the longest protocol name has 44 characters."""
VERIFY_WHY: Final = "read the words to each other: both sides must see the same"
_VERIFY_QUESTION: Final = ("are they the same?", "[y]es", "[n]o", "any other key closes")
CONFIRM_QUESTION: Final = ("[y]es, or the same once more", "any other key goes on")


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


def middle_box(
    state: HudState, cells: int, rows: int, unicode: bool = True, *, window: bool = False
) -> list[TextLine]:
    """The box in the middle, framed, at most `cells` × `rows`: a question, else the help; [] if none is open."""
    if state.show_confirm:
        keys = _flow([Segment(text, Role.KEY) for text in CONFIRM_QUESTION], 2, cells - _FRAME_CELLS)
        return _box("hang up?", keys, cells, rows, unicode)
    if state.show_verify:
        return verify_box(state, cells, rows, unicode)
    if state.question:
        return question_box(state, cells, rows, unicode)
    return help_box(cells, rows, unicode, window=window, talk=state.push_to_talk) if state.show_help else []


def question_box(state: HudState, cells: int, rows: int, unicode: bool = True) -> list[TextLine]:
    """What the other side asks, framed, at most `cells` × `rows`; the keys are kept where there is little room."""
    title, asked, *keys = (shown(text, LINE_CELLS, unicode) for text in state.question)
    inner = min(cells - _FRAME_CELLS, TEXT_CELLS)
    answers = _flow([Segment(text, Role.KEY) for text in keys], 2, inner)
    words = _flow([Segment(word) for word in asked.split()], 1, inner)[: max(0, rows - 2 - len(answers))]
    return _box(clip(title, max(0, inner - 2)), [*words, *answers], cells, rows, unicode)


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


def help_box(
    cells: int, rows: int, unicode: bool = True, *, window: bool = False, talk: bool = False
) -> list[TextLine]:
    """The keys, framed, at most `cells` × `rows`; [] if there is no room at all."""
    keys = [TALK_KEY] if talk else []
    keys += [(key, meaning) for key, _, meaning in KEY_HELP if key != "?"]
    keys += WINDOW_KEYS if window else ()
    column = max(width(key) for key, _ in keys)
    lines: list[TextLine] = [
        (Segment(f"{key:{column}}  ", Role.KEY), Segment(meaning)) for key, meaning in keys
    ]
    if len(lines) > rows - 2 and not window:  # all of them in short rather than some of them
        lines = lines[: len(keys) - len(KEY_HELP) + 1] + _short_help(column)
    title = "keys (? closes)" if cells >= _ROOM_FOR_TITLE_CELLS else "keys"
    return _box(title, lines, cells, rows, unicode)


def _short_help(column: int) -> list[TextLine]:
    """The keys with their short names, two a line."""
    pairs = [(key, short) for key, short, _ in KEY_HELP]
    half = max(width(short) for _, short in pairs) + 2
    shown = [(Segment(f"{key:{column}}  ", Role.KEY), Segment(f"{short:{half}}")) for key, short in pairs]
    return [
        tuple(segment for pair in shown[at : at + 2] for segment in pair) for at in range(0, len(shown), 2)
    ]


def stats_box(state: HudState, cells: int, rows: int, unicode: bool = True) -> list[TextLine]:
    """The figures, the protocol and the words to compare, framed, at most `cells` × `rows`."""
    figures = state.stats.items()
    pairs = [
        (shown(label, _LABEL_CELLS, unicode), shown(value, _VALUE_CELLS, unicode)) for label, value in figures
    ]
    if state.protocol:
        pairs.append(("protocol", shown(state.protocol, _VALUE_CELLS, unicode)))
    if state.words:
        words = [shown(word, WORD_CELLS, unicode) for word in state.words]
        pairs += [("words", " ".join(words[:2])), ("", " ".join(words[2:]))]
    column = max((width(label) for label, _ in pairs), default=0) + 2
    lines: list[TextLine] = []
    for label, value in pairs:
        lines.append((Segment(label + " " * (column - width(label)), Role.DIM), Segment(value)))
    return _box("figures", lines, cells, rows, unicode)


def verify_box(state: HudState, cells: int, rows: int, unicode: bool = True) -> list[TextLine]:
    """The words and numbers to compare, and the question whether they are the same, framed, at most `cells` × `rows`.

    If there is little room, the words and the question are kept and the other parts are left out.
    """
    inner, room = cells - _FRAME_CELLS, rows - 2
    wide = inner >= _VERIFY_LABEL_CELLS + _VERIFY_VALUE_CELLS
    label_cells = _VERIFY_LABEL_CELLS if wide else 0
    value_cells = inner - label_cells

    def part(label: str, role: Role, pieces: Sequence[str], gap: int, most: int) -> list[TextLine]:
        lines = _flow([Segment(piece, role) for piece in pieces], gap, value_cells, most)
        labels = [label] + [""] * len(lines)
        return [
            (Segment(f"{labels[i]:{label_cells}}"[:label_cells], Role.DIM), *line)
            for i, line in enumerate(lines)
        ]

    words = [shown(word, WORD_CELLS, unicode) for word in state.words]
    groups = [shown(group, GROUP_CELLS, unicode) for group in state.safety]
    protocol = re.findall(r"[^_]*_?", shown(state.protocol, TEXT_CELLS, unicode))
    parts = {
        "why": _flow([Segment(word, Role.DIM) for word in VERIFY_WHY.split()], 1, inner),
        "words": part("words", Role.NAME, words, 2, len(words) if wide else 2),
        "number": part("safety number", Role.TEXT, groups, 1, SAFETY_HALF_GROUPS),
        "cipher": [
            *part("cipher", Role.TEXT, [text for text in cipher(state.protocol)[:1] if text], 1, 1),
            *part("protocol", Role.DIM, protocol if state.protocol else [], 0, len(protocol)),
        ],
        "question": _flow([Segment(text, Role.KEY) for text in _VERIFY_QUESTION], 2, inner),
    }
    for least in ("why", "cipher", "number"):
        if sum(map(len, parts.values())) > room:
            parts[least] = []
    kept = [lines for lines in parts.values() if lines]
    airy = sum(map(len, kept)) + len(kept) - 1 <= room
    lines = [line for lines in kept for line in ((*lines, ()) if airy else lines)]
    title = clip(f"verify {shown(state.name, NAME_CELLS, unicode)}", inner - 2, signs(unicode).ellipsis)
    return _box(title, lines[:-1] if airy else lines, cells, rows, unicode)


def _flow(pieces: Sequence[Segment], gap: int, cells: int, most: int = sys.maxsize) -> list[TextLine]:
    """Pieces in lines of at most `cells` cells and `most` pieces; a piece wider than a line gets its own line."""
    lines: list[list[Segment]] = []
    counts: list[int] = []
    for piece in pieces:
        if not piece.text:
            continue
        if lines and counts[-1] < most and line_width((*lines[-1], piece)) + gap <= cells:
            lines[-1] += [Segment(" " * gap), piece] if gap else [piece]
            counts[-1] += 1
        else:
            lines.append([piece])
            counts.append(1)
    return [tuple(line) for line in lines]


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


def frame_lines(cells: int, rows: int, unicode: bool = True) -> list[TextLine]:
    """An empty frame around `cells` × `rows`: its upper edge, its lower edge, and the character for both sides."""
    top_left, top_right, bottom_right, bottom_left, across, down = signs(unicode).edges
    texts = (top_left + across * cells + top_right, bottom_left + across * cells + bottom_right, down)
    return [(Segment(text, Role.EDGE),) for text in texts]


def _box(title: str, lines: Sequence[TextLine], cells: int, rows: int, unicode: bool) -> list[TextLine]:
    """Lines in a frame with a title; lines at the end that do not fit are left out."""
    top_left, top_right, bottom_right, bottom_left, across, down = signs(unicode).edges
    lines = lines[: max(0, rows - 2)]
    inner = min(cells - _FRAME_CELLS, max([width(title) + 2, *map(line_width, lines)]))
    if not lines or inner < _LEAST_BOX_CELLS:
        return []
    edge = Segment(down, Role.EDGE)
    head = (
        Segment(f"{top_left}{across} ", Role.EDGE),
        Segment(title, Role.NAME),
        Segment(f" {across * (inner - width(title) - 1)}{top_right}", Role.EDGE),
    )
    body = [(edge, Segment(" "), *fill(line, inner), Segment(" "), edge) for line in lines]
    foot = (Segment(f"{bottom_left}{across * (inner + 2)}{bottom_right}", Role.EDGE),)
    return [head, *body, foot]
