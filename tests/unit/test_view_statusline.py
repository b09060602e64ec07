"""The status line keeps what matters, however narrow: once something is there, it is there in every wider line."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from p2pcall.view.hud import HudState, Role, TextLine, line_width
from p2pcall.view.statusline import status_line

CALL = HudState(
    name="Ana Belén",
    protocol="Noise_XXhfs_25519+MLKEM768_ChaChaPoly_SHA256",
    elapsed_s=83.4,
    delay_ms=48.2,
    loss=0.004,
    video_on=True,
    remote_video=True,
)
MUTED = replace(CALL, muted=True)
DARK = replace(CALL, video_on=False)
BOTH = replace(MUTED, video_on=False)
VERIFIED = replace(BOTH, known="verified")
NOTICE = replace(BOTH, notice="not heard any more: reconnecting")
RECORDED = replace(CALL, remote_records=True, notice="no safe word is set: " + "p2pcall contacts " * 3)
WIDTHS = range(10, 201)
THERE_FROM = [
    (CALL, "↑mic+cam", 19),
    (CALL, "q hang up", 30),
    (CALL, "i verify", 40),
    (CALL, "m mute", 48),
    (CALL, "Ana Belén", 51),
    (CALL, "not verified", 66),
    (CALL, "delay 48 ms", 95),
    (MUTED, "muted", 16),
    (MUTED, "muted: m", 19),
    (MUTED, "↑cam", 26),
    (MUTED, "q hang up", 37),
    (MUTED, "i verify", 47),
    (DARK, "↑mic", 15),
    (DARK, "m mute", 44),
    (DARK, "camera off: v", 60),
    (BOTH, "i verify", 40),
    (BOTH, "camera off: v", 56),
    (VERIFIED, "q hang up", 30),
    (VERIFIED, "✓", 34),
    (VERIFIED, "camera off: v", 50),
    (VERIFIED, "✓ verified", 62),
    (NOTICE, "not heard a", 33),
    (NOTICE, "not heard any more: reconnecting", 53),
    (NOTICE, "q hang up", 64),
    (RECORDED, "● other", 22),
    (RECORDED, "↑mic+cam", 68),
]
"""A state of a call, what is told of it, and the narrowest line that does; the name is longer than the least of it."""


def plain(line: TextLine) -> str:
    return "".join(text for text, _ in line)


@pytest.mark.parametrize(("state", "text", "width"), THERE_FROM)
def test_what_matters_is_there_from_this_width_on(state: HudState, text: str, width: int) -> None:
    there = [cells for cells in WIDTHS if text in plain(status_line(state, cells))]
    assert there == [*range(width, WIDTHS.stop)]


STATES = st.builds(
    HudState,
    name=st.text(max_size=80),
    known=st.sampled_from(["new", "contact", "verified"]),
    phase=st.sampled_from(["", "ringing"]),
    protocol=st.sampled_from(["", CALL.protocol, "odd"]),
    elapsed_s=st.floats(0, 400_000),
    delay_ms=st.none() | st.floats(0, 5000),
    loss=st.none() | st.floats(0, 1),
    muted=st.booleans(),
    video_on=st.booleans(),
    remote_muted=st.booleans(),
    remote_records=st.booleans(),
    notice=st.text(max_size=100),
)
MARKS = ("q hang up", "i verify", "m mute", "muted: m", "camera off: v", "other muted", "verified", "delay ")


@settings(max_examples=25)  # each of 190 widths
@given(STATES, st.booleans())
def test_a_wider_line_never_tells_less_and_none_is_too_wide(state: HudState, unicode: bool) -> None:
    before: set[str] = set()
    for cells in WIDTHS:
        line = status_line(state, cells, unicode)
        assert line_width(line) == cells
        text = plain(line).replace("other side muted", "other muted")
        parts = {mark for mark in MARKS if mark in text}
        assert before <= parts, (cells, before - parts)
        before = parts
    assert ("muted: m" in before) is state.muted


@pytest.mark.parametrize("known", ["new", "contact", "verified"])
@pytest.mark.parametrize("muted", [False, True])
def test_at_eighty_columns_there_are_name_verification_what_is_off_and_the_keys(
    known: str, muted: bool
) -> None:
    state = replace(CALL, known=known, muted=muted, video_on=False, delay_ms=430.0, loss=0.2)
    text = plain(status_line(state, 80))
    assert all(part in text for part in ("Ana Belén", "camera off: v", "q hang up"))
    assert ("muted: m" if muted else "m mute") in text
    assert ("✓" if known == "verified" else "i verify") in text


def test_the_name_is_cut_last() -> None:
    """But for its first cells, which are there always."""
    state = replace(BOTH, name="x" * 40)
    assert "x" * 32 in plain(status_line(state, 82))
    assert "not verified" not in plain(status_line(state, 82))
    assert " xxxxxxxxxxxxxxxxxxx… · muted: m · camera off: v  " in plain(status_line(state, 70))


def test_one_word_says_that_nobody_has_compared_the_words() -> None:
    told = {known: plain(status_line(replace(CALL, known=known), 120)) for known in ("new", "contact")}
    assert told["new"] == told["contact"]
    assert " · not verified · " in told["new"]


def test_what_is_bad_comes_before_what_is_usual() -> None:
    bad = status_line(replace(CALL, delay_ms=420.0, loss=0.12), 87)
    roles = dict(bad)
    assert roles["delay 420 ms"] is roles["loss 12 %"] is Role.WARN
    assert "1:23" not in roles


def test_a_meter_has_the_same_place_and_width_at_every_level() -> None:
    lines = [
        plain(
            status_line(
                HudState(name="bob", sends_sound=False, mic_height=mic, speaker_height=ear), 120, unicode
            )
        )
        for unicode in (True, False)
        for mic, ear in ((0, 0), (7, 0), (3, 7))
    ]
    assert {len(line) for line in lines} == {120}
    assert [line[line.index("mic ") :][:11] for line in lines] == [
        *("mic ▁ ear ▁", "mic █ ear ▁", "mic ▄ ear █"),
        *("mic 0 ear 0", "mic 7 ear 0", "mic 3 ear 7"),
    ]
    assert {line.index("mic ") for line in lines[:3]} == {lines[0].index("mic ")}
    assert "mic" not in plain(status_line(HudState(name="bob", sends_sound=False), 120)).replace("m mute", "")


def test_a_notice_that_is_too_long_is_cut_with_a_mark() -> None:
    told = "".join(segment.text for segment in status_line(replace(CALL, notice="ab " * 40), 200))
    assert "ab…" in told.replace(" …", "…")
