"""The state of a call as one plain line, the help and the figures in one each, and what people compare in a few:
for `--plain`, dumb terminals, logs, screen readers. Pure.

No symbols, no colours, commas between the parts, the most important first; unimportant parts are left out, because a
screen reader speaks everything.
"""

from typing import Final

from .hud import KEY_HELP, TALK_KEY, VERIFY_WHY, HudState, cipher, clock, percent, trust
from .sanitize import GROUP_CELLS, LINE_CELLS, NAME_CELLS, PHASE_CELLS, WORD_CELLS, clean, width

_INDENT: Final = "  "


def plain_line(state: HudState) -> str:
    """One line without its end; remote strings are filtered."""
    parts = [clean(state.name, NAME_CELLS)]
    if state.known == "verified" or not state.phase:
        parts[0] += f" ({trust(state.known)})"
    if state.phase:
        parts.append(clean(state.phase, PHASE_CELLS))
    else:
        parts.append(clock(state.elapsed_s))
        if state.delay_ms is not None:
            parts.append(f"delay {state.delay_ms:.0f} ms")
        if state.loss is not None:
            parts.append(f"loss {percent(state.loss)}")
    parts += [
        text
        for on, text in (
            (state.remote_records, "other side records"),
            (state.records, "you record"),
            (not state.phase and state.sends_sound and not state.muted, "microphone on"),
            (state.muted, "muted"),
            (bool(state.profile), f"profile {clean(state.profile)}"),
            (state.remote_muted, "other side muted"),
            (state.video_on, "camera on"),
            (bool(state.notice), clean(state.notice, LINE_CELLS)),
        )
        if on
    ]
    return ", ".join(parts)


def wrapped(text: str, cells: int) -> str:
    """`text` wrapped to lines of at most `cells` (longer only for a long word); all but the first are indented."""
    lines: list[str] = []
    for word in text.split(" "):
        if lines and width(lines[-1]) + 1 + width(word) <= cells:
            lines[-1] += f" {word}"
        else:
            lines.append(f"{_INDENT}{word}" if lines else word)
    return "\n".join(lines)


def plain_help(state: HudState) -> str:
    """The keys that work without a picture."""
    keys = [TALK_KEY] if state.push_to_talk else []
    keys += [(key, meaning) for key, _, meaning in KEY_HELP if key != "w"]
    return "keys: " + ", ".join(f"{key} {meaning}" for key, meaning in keys)


def plain_confirm() -> str:
    """The question whether to hang up."""
    return "hang up? press y for yes, or the same key once more, any other key to go on"


def plain_question(state: HudState) -> str:
    """What the other side asks; remote strings are filtered."""
    title, asked, *keys = (clean(text, LINE_CELLS) for text in state.question)
    return f"{title} {asked}: press {', '.join(keys)}"


def plain_figures(state: HudState) -> str:
    """The figures, the protocol and the words to compare; remote strings are filtered."""
    pairs = [*state.stats.items(), ("protocol", state.protocol), ("words", " ".join(state.words))]
    return "figures: " + ", ".join(f"{clean(label)} {clean(value)}" for label, value in pairs if value)


def plain_verify(state: HudState) -> list[str]:
    """The words and numbers to compare, and the question whether they are the same; remote strings are filtered."""
    number = [clean(group, GROUP_CELLS) for group in state.safety]
    half = len(number) // 2
    return [
        f"verify {clean(state.name, NAME_CELLS)}: {VERIFY_WHY}",
        "words: " + " ".join(clean(word, WORD_CELLS) for word in state.words),
        "safety number: " + " ".join(number[:half]),
        "and its second half: " + " ".join(number[half:]),
        f"cipher: {cipher(state.protocol)[0]}, protocol: {clean(state.protocol)}",
        "are they the same? press y for yes, n for no, any other key to go on",
    ]
