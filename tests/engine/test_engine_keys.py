"""What keys do in a call, beside those of the questions: what one opens Escape puts away."""

from pathlib import Path

import pytest
from seeing import Pair, with_a_call

from p2pcall import events


@pytest.mark.parametrize("box", ["?", "s", "i"])
def test_escape_puts_away_what_a_key_has_opened(tmp_path: Path, box: str) -> None:
    async def scene(pair: Pair) -> None:
        alice = pair.alice_ui
        alice.press(box)
        hud = alice.view.hud
        assert hud.show_help or hud.show_stats or hud.show_verify
        alice.press("escape")
        hud = alice.view.hud
        assert not (hud.show_help or hud.show_stats or hud.show_verify)
        alice.press("escape")
        assert not alice.of(events.Ended)
        alice.press("q")
        await pair.end()

    with_a_call(tmp_path, scene)
