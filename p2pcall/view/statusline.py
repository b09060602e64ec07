"""The status line: the state of a call in one row of any width. Pure.

Rule: important parts come first. All possible content is a list of steps (`_steps`), the most important first; each
step is a part of the line or a longer form of one. Steps are taken in order until one does not fit; none is skipped. So
a wider line always shows at least the content of a narrower one. The name, what is off (with the key that turns it on
again), what is sent and who records, and the keys to hang up, verify and mute come before figures and ciphers.
"""

from collections.abc import Iterator, Mapping
from typing import Final

from .hud import (
    KEY_HELP,
    HudState,
    Role,
    Segment,
    Signs,
    TextLine,
    cipher,
    clock,
    fill,
    joined,
    line_width,
    percent,
    sending,
    shown,
    signs,
    trust,
)
from .sanitize import LINE_CELLS, clean, clip

_LEFT: Final = (
    *(
        "rec",
        "name",
        "trust",
        "sent",
        "cipher",
        "phase",
        "time",
        "delay",
        "loss",
        "profile",
        "muted",
        "camera",
        "other",
        "levels",
    ),
)
"""Parts on the left, in reading order; those on the right are the notice and the keys, in the order of `KEY_HELP`."""
_RIGHT: Final = ("notice", *(key for key, _, _ in KEY_HELP))
_GAP: Final = "  "
_MIN_NAME_CELLS: Final = 6
_NAME_CELLS: Final = 32
_PHASE_CELLS: Final = 24
_MIN_NOTICE_CELLS: Final = 12
_SHORT_NOTICE_CELLS: Final = 33
"""A notice up to this is whole in a line of 40 cells; a longer one leaves room for what is sent."""
_NOTICE_CELLS: Final = 60
_LOSS_WORTH_TELLING: Final = 0.005
_LOSS_BAD: Final = 0.03
_DELAY_BAD_MS: Final = 300

_Step = tuple[str, TextLine]


def status_line(state: HudState, cells: int, unicode: bool = True) -> TextLine:
    """The status line, exactly `cells` wide."""
    sign = signs(unicode)
    taken: dict[str, TextLine] = {}
    widths: dict[str, int] = {}
    for part, form in _steps(state, sign, unicode):
        before, widths[part] = widths.get(part, 0), line_width(form)
        over = _needed(widths, sign) - cells
        if over <= 0:
            taken[part] = form
            continue
        if part in ("name", "notice") and widths[part] - over > before:
            text, role = form[0]
            taken[part] = _text(role, clip(text, widths[part] - over, sign.ellipsis))
        break
    left = joined([taken.get(part, ()) for part in _LEFT], _separator(sign))
    right = joined([taken.get(part, ()) for part in _RIGHT], _GAP)
    gap = cells - 2 - line_width(left) - line_width(right)
    return fill((Segment(" "), *left, Segment(" " * gap), *right, Segment(" ")), cells)


def _needed(widths: Mapping[str, int], sign: Signs) -> int:
    """Cells for parts of these widths with all separators and margins."""
    left = sum(width + len(_separator(sign)) for part, width in widths.items() if part in _LEFT and width)
    right = sum(width + len(_GAP) for part, width in widths.items() if part in _RIGHT)
    return 2 + max(0, left - len(_separator(sign))) + right


def _separator(sign: Signs) -> str:
    return f" {sign.dot} "


def _steps(state: HudState, sign: Signs, unicode: bool) -> Iterator[_Step]:
    """All steps, the most important first."""
    name = shown(state.name, _NAME_CELLS, unicode)
    yield "name", _text(Role.NAME, clip(name, _MIN_NAME_CELLS, sign.ellipsis))
    if state.remote_records or state.records:
        yield "rec", _text(Role.ALERT, f"{sign.record} {_recorder(state)} rec")
    if state.phase:
        yield "phase", _text(Role.KEY, shown(state.phase, _PHASE_CELLS, unicode))
    if state.muted:
        yield "muted", _text(Role.WARN, "muted")
        yield "muted", _text(Role.WARN, "muted: hold space" if state.push_to_talk else "muted: m")
    if state.notice:
        notice = clip(shown(state.notice, LINE_CELLS, unicode), _NOTICE_CELLS, sign.ellipsis)
        yield "notice", _text(Role.KEY, clip(notice, _MIN_NOTICE_CELLS, sign.ellipsis))
        yield "notice", _text(Role.KEY, clip(notice, _SHORT_NOTICE_CELLS, sign.ellipsis))
    if not state.phase and sending(state):
        yield "sent", _text(Role.GOOD, sign.out + sending(state))
    if state.notice:
        yield "notice", _text(Role.KEY, notice)
    yield _key("q")
    if state.known == "verified":
        yield "trust", _text(Role.GOOD, sign.verified)
    elif not state.phase:
        yield _key("i")
    if not state.muted:
        yield _key("m")
    if not state.phase:
        yield from _also_off(state)
    yield "name", _text(Role.NAME, name)
    if not state.phase:
        yield from _bad_figures(state)
    if state.known == "verified":
        yield "trust", _text(Role.GOOD, f"{sign.verified} {trust(state.known)}")
    elif not state.phase:
        yield "trust", _text(Role.DIM if state.known == "contact" else Role.WARN, trust(state.known))
    yield _key("?")
    if state.remote_records or state.records:
        words = {"you": "you record", "other": "other side records", "both": "both sides record"}
        yield "rec", _text(Role.ALERT, f"{sign.record} {words[_recorder(state)]}")
    if not state.phase:
        yield from _figures(state)
    yield from _with_room(state, sign)
    yield _key("s")
    yield _key("w")
    yield _key("p")


def _recorder(state: HudState) -> str:
    if state.records:
        return "both" if state.remote_records else "you"
    return "other"


def _also_off(state: HudState) -> Iterator[_Step]:
    """One's own camera, and the other side's microphone."""
    if not state.video_on:
        yield "camera", _text(Role.TEXT, "camera off: v")
    if state.remote_muted:
        yield "other", _text(Role.WARN, "other muted")


def _bad_figures(state: HudState) -> Iterator[_Step]:
    """Figures that explain bad sound."""
    if state.loss is not None and state.loss >= _LOSS_BAD:
        yield "loss", _text(Role.WARN, f"loss {percent(state.loss)}")
    if state.delay_ms is not None and state.delay_ms >= _DELAY_BAD_MS:
        yield "delay", _text(Role.WARN, f"delay {state.delay_ms:.0f} ms")


def _figures(state: HudState) -> Iterator[_Step]:
    yield "time", _text(Role.TEXT, clock(state.elapsed_s))
    if state.delay_ms is not None and state.delay_ms < _DELAY_BAD_MS:
        yield "delay", _text(Role.TEXT, f"delay {state.delay_ms:.0f} ms")
    if state.loss is not None and _LOSS_WORTH_TELLING <= state.loss < _LOSS_BAD:
        yield "loss", _text(Role.TEXT, f"loss {percent(state.loss)}")
    if state.profile:
        yield "profile", _text(Role.TEXT, clean(state.profile))
    if state.remote_muted:
        yield "other", _text(Role.WARN, "other side muted")


def _with_room(state: HudState, sign: Signs) -> Iterator[_Step]:
    """The cipher (every call is encrypted), and other parts that are worth showing only in a wide line."""
    long, short = cipher(state.protocol)
    lock = Segment(sign.lock, Role.GOOD)
    if long:
        yield "cipher", (lock,)
        yield "cipher", (lock, Segment(f" {short}"))
    if state.mic_height is not None and state.speaker_height is not None and not state.phase:
        mic = Segment("mic ", Role.DIM), Segment(sign.heights[state.mic_height])
        yield "levels", mic
        yield "levels", (*mic, Segment(" ear ", Role.DIM), Segment(sign.heights[state.speaker_height]))
    if state.video_on or state.phase:
        yield _key("v")
    if state.loss is not None and state.loss < _LOSS_WORTH_TELLING and not state.phase:
        yield "loss", _text(Role.TEXT, f"loss {percent(state.loss)}")
    if long:
        yield "cipher", (lock, Segment(f" {long}"))


def _key(key: str) -> _Step:
    name = next(name for other, name, _ in KEY_HELP if other == key)
    return key, (Segment(key, Role.KEY), Segment(f" {name}", Role.DIM))


def _text(role: Role, text: str) -> TextLine:
    return (Segment(text, role),) if text else ()
