"""What people are told about codes and safe words."""

from p2pcall.engine.factor_words import word_text
from p2pcall.factor.safe_word import WordResult
from p2pcall.view.sanitize import width

NOTICE_CELLS = 60
"""What the status line has for a notice, in a terminal of 80 columns, too."""


def test_how_a_safe_word_was_compared_is_read_whole_in_the_status_line() -> None:
    for result in WordResult:
        told = word_text("alice", result)
        assert "alice" in told
        assert width(told) <= NOTICE_CELLS, told
