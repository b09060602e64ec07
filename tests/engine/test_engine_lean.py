"""A tick of a call takes few steps: counted, so that it does not depend on the machine or on what else it does."""

from pathlib import Path

from counting import count_calls, per_tick

MOST_PYTHON, MOST_BUILTIN = 170, 175
"""Functions called in a tick of 20 ms by one side: those in Python cost the most, cold as they are each time."""


def test_a_tick_of_voice_takes_few_calls(tmp_path: Path) -> None:
    counts = count_calls(tmp_path)
    assert per_tick(counts.python) <= MOST_PYTHON
    assert per_tick(counts.builtin) <= MOST_BUILTIN
