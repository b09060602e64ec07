"""The boxes over the picture: questions, help, figures, what to compare. Pure.

Each is framed, and at most as large as the room that it is given: what matters least is left out first, and what does
not fit is no box. Strings go through `sanitize.clean`, as all in `hud`.
"""

import re
import sys
from collections.abc import Sequence
from typing import Final

from p2pcall.proto.constants import SAFETY_HALF_GROUPS

from .hud import (
    KEY_HELP,
    TALK_KEY,
    VERIFY_WHY,
    WINDOW_KEYS,
    HudState,
    Role,
    Segment,
    TextLine,
    cipher,
    fill,
    line_width,
    shown,
    signs,
)
from .sanitize import GROUP_CELLS, LINE_CELLS, NAME_CELLS, TEXT_CELLS, WORD_CELLS, clip, width

_FRAME_CELLS: Final = 4
"""Cells for an edge and a space on both sides of a box."""
_LEAST_BOX_CELLS: Final = 8
"""A box with less room inside is not drawn."""
_ROOM_FOR_TITLE_CELLS: Final = 24
"""From this width on the title of the help says how it is closed."""
_LABEL_CELLS: Final = 16
_VALUE_CELLS: Final = 44
_VERIFY_LABEL_CELLS: Final = 15
_VERIFY_VALUE_CELLS: Final = 46
"""Room for the four longest words of the list with gaps; the longest protocol name has 44 characters."""
_VERIFY_QUESTION: Final = ("are they the same?", "[y]es", "[n]o", "any other key closes")
_CONFIRM_QUESTION: Final = ("[y]es, or the same once more", "any other key goes on")


def middle_box(
    state: HudState, cells: int, rows: int, unicode: bool = True, *, window: bool = False
) -> list[TextLine]:
    """The box in the middle, framed, at most `cells` × `rows`: a question, else the help; [] if none is open."""
    if state.show_confirm:
        keys = _flow([Segment(text, Role.KEY) for text in _CONFIRM_QUESTION], 2, cells - _FRAME_CELLS)
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
