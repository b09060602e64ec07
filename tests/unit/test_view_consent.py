"""What a person sees of consent: what is sent, who records, what the other side asks."""

import pytest
from msgspec.structs import replace
from test_view_hud import CALL, SIZES, drawn, plain

from p2pcall.view.hud import indicator
from p2pcall.view.plainline import plain_line, plain_question
from p2pcall.view.statusline import status_line
from p2pcall.view.window_link import WindowState

ASKS = replace(
    CALL, question=("record this call?", "b" * 32 + " asks, and would keep it for 30 days", "[y]es", "[n]o")
)


@pytest.mark.parametrize(("cols", "rows"), [*SIZES, (24, 8)])
def test_what_the_other_side_asks_is_told_in_our_words_whatever_its_name_is(cols: int, rows: int) -> None:
    text = drawn(ASKS, cols, rows)
    assert all(part in text for part in ("record this call?", "[y]es", "[n]o"))
    if cols >= 40:
        assert " ".join(text.replace("│", " ").split()).count("30 days") == 1
    assert plain_question(ASKS).startswith("record this call? bbb")
    assert plain_question(ASKS).endswith("30 days: press [y]es, [n]o")


def test_a_question_of_ones_own_covers_the_other_sides() -> None:
    assert "record this call?" not in drawn(replace(ASKS, show_confirm=True), 80, 24)
    assert "record this call?" not in drawn(replace(ASKS, show_verify=True), 80, 24)
    assert "record this call?" in drawn(replace(ASKS, show_help=True), 80, 24)


def test_the_window_is_asked_the_same() -> None:
    assert WindowState.unpack(WindowState(True, "", ASKS).pack()).hud == ASKS
    assert ASKS.boxed and not CALL.boxed
    assert replace(CALL, records=True).pinned and not CALL.pinned


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({}, "↑mic+cam"),
        ({"muted": True}, "↑cam"),
        ({"video_on": False}, "↑mic"),
        ({"sends_sound": False, "video_on": False}, ""),
        ({"records": True}, "● rec ↑mic+cam"),
        ({"remote_records": True, "muted": True, "video_on": False}, "● rec"),
    ],
)
def test_what_is_sent_and_who_records_is_told_where_there_is_no_status_line(
    changes: dict[str, bool], told: str
) -> None:
    assert plain(indicator(replace(CALL, **changes))) == told


@pytest.mark.parametrize("cells", [24, 40, 80, 120])
def test_a_recording_is_told_in_every_status_line(cells: int) -> None:
    for changes, told in (({"records": True}, "you rec"), ({"remote_records": True}, "other ")):
        assert plain(status_line(replace(CALL, **changes), cells)).startswith(f" ● {told}")
    both = replace(CALL, records=True, remote_records=True)
    assert plain(status_line(both, 120)).startswith(" ● both")
    assert "other side records, you record" in plain_line(both)
