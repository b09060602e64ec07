"""The texts of the screen: they fit, they say what matters, and nothing of the other side's gets through raw."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from p2pcall.engine.hearing import FINDINGS
from p2pcall.engine.voice_profile import TRADES
from p2pcall.media.levels import Finding
from p2pcall.view.boxes import help_box, stats_box, verify_box
from p2pcall.view.hud import (
    KEY_HELP,
    TALK_KEY,
    HudState,
    Role,
    TextLine,
    cipher,
    clock,
    fill,
    line_width,
    percent,
    placeholder,
)
from p2pcall.view.layout import Layout, texts
from p2pcall.view.plainline import plain_line, plain_verify
from p2pcall.view.probe import Colours, Mode
from p2pcall.view.sanitize import width
from p2pcall.view.statusline import status_line
from p2pcall.view.theme import Ground, render, style

GOLDEN = Path(__file__).parent.parent / "golden"
CALL = HudState(
    name="Bob",
    known="contact",
    protocol="Noise_XX_25519_ChaChaPoly_SHA256",
    words=("tissue", "adroitness", "tracker", "bravado"),
    elapsed_s=83.4,
    delay_ms=48.2,
    loss=0.004,
    video_on=True,
    remote_video=True,
    stats={"round trip": "3 ms", "jitter": "1.2 ms", "received": "155 kbit/s"},
)
NUMBER = "32548 50941 34585 53867 18853 71708 68544 23051 02450 73119 48574 25331"
ASKED = replace(
    CALL,
    protocol="Noise_XXhfs_25519+MLKEM768_ChaChaPoly_SHA256",
    safety=tuple(NUMBER.split(" ")),
    show_verify=True,
)
LONGEST = ("spearhead", "stethoscope", "crackdown", "sympathetic")
"""As long as the words of the two lists can be: 9 and 11 letters."""
SIZES = ((120, 40), (80, 24), (40, 12))
STATES = {
    "call": CALL,
    "trouble": replace(CALL, loss=0.12, delay_ms=420.0, muted=True, remote_muted=True, video_on=False),
    "new": replace(CALL, known="new", remote_records=True, notice="Bob has turned the camera off"),
    "verified": replace(CALL, known="verified", elapsed_s=3723.0),
    "ringing": HudState(name="Bob", phase="ringing"),
}


def plain(line: TextLine) -> str:
    return "".join(text for text, _ in line)


def test_status_lines_as_they_were_approved() -> None:
    lines = []
    for cells in (120, 80, 40):
        for name, state in STATES.items():
            lines.append(f"{name} {cells}\n|{plain(status_line(state, cells))}|")
    lines.append(f"ascii 80\n|{plain(status_line(STATES['verified'], 80, unicode=False))}|")
    assert "\n".join(lines) + "\n" == (GOLDEN / "view_status.txt").read_text()


def test_a_profile_that_is_not_the_usual_is_shown() -> None:
    fast = replace(CALL, profile="fast")
    assert "fast" in plain(status_line(fast, 120))
    assert "fast" in plain_line(fast) and "fast" not in plain_line(CALL)


def test_boxes_as_they_were_approved() -> None:
    boxes = [
        help_box(80, 20),
        stats_box(CALL, 80, 20),
        stats_box(CALL, 40, 8),
        help_box(40, 11, unicode=False),
    ]
    drawn = "\n\n".join("\n".join(plain(line) for line in box) for box in boxes)
    assert drawn + "\n" == (GOLDEN / "view_boxes.txt").read_text()


@pytest.mark.parametrize("told", [*TRADES.values(), FINDINGS[Finding.MUTED]])
def test_what_a_profile_trades_and_that_one_is_muted_is_read_whole_in_40_cells(told: str) -> None:
    assert told in plain(status_line(replace(CALL, notice=told), 40))


def test_the_help_of_push_to_talk_is_whole_in_a_small_terminal() -> None:
    box = [plain(line) for line in help_box(40, 11, talk=True)]
    assert "? closes" in box[0]
    assert any(line.startswith("│ {:5}  {}".format(*TALK_KEY)) for line in box)
    for key, short, _ in KEY_HELP:
        assert any(f" {key:5}  {short} " in line for line in box), key


@given(
    st.builds(
        HudState,
        name=st.text(max_size=80),
        known=st.sampled_from(["new", "contact", "verified"]),
        phase=st.sampled_from(["", "ringing"]),
        protocol=st.sampled_from(["", "Noise_XX_25519_AESGCM_SHA256", "odd", "a_b_c_\x1b_e"]),
        words=st.sampled_from([(), ("tissue", "adroitness", "tracker", "bravado")]),
        elapsed_s=st.floats(-5, 400_000),
        delay_ms=st.none() | st.floats(0, 5000),
        loss=st.none() | st.floats(0, 1),
        muted=st.booleans(),
        video_on=st.booleans(),
        remote_muted=st.booleans(),
        remote_video=st.booleans(),
        remote_records=st.booleans(),
        stats=st.dictionaries(st.text(max_size=30), st.text(max_size=80), max_size=12),
        show_help=st.booleans(),
        show_stats=st.booleans(),
        show_verify=st.booleans(),
        safety=st.sampled_from([(), ASKED.safety, ("\x1b[2J",)]),
        notice=st.text(max_size=100),
    ),
    st.integers(1, 140),
    st.integers(1, 50),
    st.booleans(),
)
def test_every_text_is_inside_the_screen(state: HudState, cols: int, rows: int, unicode: bool) -> None:
    assert line_width(status_line(state, cols, unicode)) == cols
    for row, col, line, _ in texts(Layout(cols, rows), state, unicode, picture=False):
        assert 0 <= row < rows
        assert 0 <= col <= cols - line_width(line)
        assert plain(line).isprintable()
        assert unicode or plain(line).isascii()
    assert plain_line(state).isprintable()
    assert all(line.isprintable() for line in plain_verify(state))


def test_a_name_cannot_draw_on_the_terminal() -> None:
    state = replace(
        CALL, name="\x1b]0;x\x07\x1b[2J\u202e\nBob", notice="\x1b[H\x9b1m", stats={"\x1b[A": "\x1b[B"}
    )
    out = b"".join(render(line, Ground.BAR, Colours.NONE, Mode.ASCII) for line in [status_line(state, 100)])
    assert b"\x1b" not in out.replace(b"\x1b[0;7m", b"").replace(b"\x1b[0;1;7m", b"").replace(b"\x1b[0m", b"")
    for lines in (stats_box(state, 80, 20), placeholder(state, 80)):
        assert all(plain(line).isprintable() for line in lines)


def test_what_matters_most_stays_longest() -> None:
    trouble = STATES["trouble"]
    assert "muted" in plain(status_line(trouble, 32))
    assert "Bob" in plain(status_line(trouble, 24))
    assert "rec" in plain(status_line(replace(CALL, remote_records=True), 24))
    assert plain(status_line(replace(CALL, name="x" * 60), 40)).count("…") == 1


def test_trouble_is_marked() -> None:
    roles = dict(status_line(STATES["trouble"], 120))
    assert roles["loss 12 %"] is roles["delay 420 ms"] is roles["muted: m"] is Role.WARN
    assert dict(status_line(CALL, 120))["delay 48 ms"] is Role.TEXT


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(-1, "0:00"), (7.9, "0:07"), (754, "12:34"), (3723, "1:02:03"), (360000, "100:00:00")],
)
def test_clock(seconds: float, shown: str) -> None:
    assert clock(seconds) == shown


@pytest.mark.parametrize(
    ("share", "shown"), [(0, "0 %"), (0.0004, "0 %"), (0.004, "0.4 %"), (0.12, "12 %"), (7, "100 %")]
)
def test_percent(share: float, shown: str) -> None:
    assert percent(share) == shown


def test_ciphers_have_names_for_people() -> None:
    assert cipher("Noise_XX_25519_AESGCM_SHA256") == ("AES-256-GCM", "AES-GCM")
    assert cipher("nonsense") == ("", "")


def test_fill_cuts_wide_characters_whole() -> None:
    assert plain(fill(placeholder(replace(CALL, name="李小龍"), 20)[0], 5)) == "李小 "


def test_plain_lines() -> None:
    assert plain_line(CALL) == "Bob (not verified), 1:23, delay 48 ms, loss 0.4 %, microphone on, camera on"
    assert plain_line(STATES["ringing"]) == "Bob, ringing"
    assert plain_line(STATES["new"]).startswith("Bob (not verified), 1:23")
    told = "other side records, microphone on, camera on, Bob has turned the camera off"
    assert plain_line(STATES["new"]).endswith(told)
    assert plain_line(STATES["verified"]).startswith("Bob (verified), 1:02:03")
    assert "muted, other side muted" in plain_line(STATES["trouble"])


def test_ink_and_ground_come_together() -> None:
    """No text depends on the terminal's own colours unless it has none."""
    for role in Role:
        for ground in Ground:
            for colours, kind in ((Colours.TRUE, b"8;2;"), (Colours.C256, b"8;5;")):
                sgr = style(role, ground, colours, Mode.BLOCKS)
                assert b"3" + kind in sgr
                assert b"4" + kind in sgr
            assert b"8;" not in style(role, ground, Colours.NONE, Mode.ASCII)


def test_the_placeholder_says_why() -> None:
    assert plain(placeholder(CALL, 40)[1]) == "waiting for the picture…"
    assert plain(placeholder(replace(CALL, remote_video=False), 40)[1]) == "camera off"
    assert plain(placeholder(STATES["ringing"], 40)[1]) == "ringing…"
    assert width(plain(placeholder(replace(CALL, name="x" * 90), 20)[0])) == 20


def drawn(state: HudState, cols: int, rows: int, unicode: bool = True) -> str:
    """All that is written on a screen without pictures, as a person sees it."""
    screen = [[" "] * cols for _ in range(rows)]
    for row, col, line, _ in texts(Layout(cols, rows), state, unicode, picture=True):
        screen[row][col : col + line_width(line)] = plain(line)
    return "\n".join("".join(row).rstrip() for row in screen)


def test_the_question_as_it_was_approved() -> None:
    screens = [f"{cols}x{rows}\n{drawn(ASKED, cols, rows)}" for cols, rows in SIZES]
    screens.append(f"ascii 80x24\n{drawn(ASKED, 80, 24, unicode=False)}")
    assert "\n".join(screens) + "\n" == (GOLDEN / "view_verify.txt").read_text()


@pytest.mark.parametrize(("cols", "rows"), SIZES)
@pytest.mark.parametrize("words", [ASKED.words, LONGEST])
def test_the_question_has_all_that_is_compared_and_a_whole_frame(
    cols: int, rows: int, words: tuple[str, ...]
) -> None:
    box = verify_box(replace(ASKED, words=words, name="李" * 40), cols, rows - 1)
    assert len({line_width(line) for line in box}) == 1
    assert len(box) <= rows - 1
    assert all(plain(line)[0] == plain(line)[-1] == "│" for line in box[1:-1])
    assert (plain(box[0])[0], plain(box[0])[-1]) == ("╭", "╮")
    assert (plain(box[-1])[0], plain(box[-1])[-1]) == ("╰", "╯")
    inside = "\n".join(plain(line).strip("│ ") for line in box[1:-1])
    groups = [part for part in inside.split() if len(part) == 5 and part.isdigit()]
    assert groups == list(ASKED.safety)
    assert all(part in inside for part in (*words, "ChaCha20-Poly1305", "[y]es", "[n]o", "any other key"))
    assert ASKED.protocol in inside.replace("\n", "")


@pytest.mark.parametrize("rows", range(7, 14))
@pytest.mark.parametrize("cols", [24, 30, 40, 64, 65, 80])
def test_the_words_and_the_question_stay_longest(cols: int, rows: int) -> None:
    inside = "\n".join(plain(line) for line in verify_box(ASKED, cols, rows))
    assert all(part in inside for part in (*ASKED.words, "are they the same?", "[y]es", "[n]o"))


def test_the_question_in_plain_lines() -> None:
    lines = plain_verify(ASKED)
    assert lines[0].startswith("verify Bob: ")
    assert lines[1] == "words: tissue adroitness tracker bravado"
    assert " ".join(line.partition(": ")[2] for line in lines[2:4]).split() == list(ASKED.safety)
    assert lines[4] == "cipher: ChaCha20-Poly1305, protocol: Noise_XXhfs_25519+MLKEM768_ChaChaPoly_SHA256"
    assert "y for yes, n for no" in lines[5]
    assert max(map(width, lines)) < 90
    hostile = replace(ASKED, name="\x1b[2J\u202eBob\n", words=("\x07",) * 4)
    assert all(line.isprintable() for line in plain_verify(hostile))


def test_who_is_verified_is_not_asked_to_verify() -> None:
    assert "i verify" in plain(status_line(CALL, 120))
    assert "i verify" not in plain(status_line(STATES["verified"], 120))
