"""What is drawn where: the table of terminals."""

import pytest

from p2pcall.view.probe import Colours, Mode, probe

UTF8 = {"LANG": "en_GB.UTF-8"}


@pytest.mark.parametrize(
    ("environ", "colours", "mode"),
    [
        ({"TERM": "xterm-kitty"}, Colours.TRUE, Mode.BLOCKS),
        ({"TERM": "xterm-256color", "COLORTERM": "truecolor"}, Colours.TRUE, Mode.BLOCKS),
        ({"TERM": "xterm-256color", "XTERM_VERSION": "XTerm(379)"}, Colours.TRUE, Mode.BLOCKS),
        ({"TERM": "xterm-256color", "XTERM_VERSION": "XTerm(278)"}, Colours.C256, Mode.BLOCKS),
        ({"TERM": "xterm-256color", "VTE_VERSION": "6003"}, Colours.TRUE, Mode.BLOCKS),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "Apple_Terminal"}, Colours.C256, Mode.BLOCKS),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "iTerm.app"}, Colours.TRUE, Mode.BLOCKS),
        ({"TERM": "tmux-256color", "TMUX": "/tmp/tmux-0/default,1,0"}, Colours.TRUE, Mode.BLOCKS),
        (
            {"TERM": "screen.xterm-256color", "STY": "1.x", "COLORTERM": "truecolor"},
            Colours.C256,
            Mode.BLOCKS,
        ),
        ({"TERM": "xterm-kitty", "NO_COLOR": "1"}, Colours.NONE, Mode.ASCII),
        ({"TERM": "xterm-256color", "LC_ALL": "C"}, Colours.C256, Mode.ASCII),
        ({"TERM": "linux"}, Colours.C16, Mode.BLOCKS),
        ({"TERM": "linux-16color", "COLORTERM": "truecolor", "TMUX": "x"}, Colours.C16, Mode.BLOCKS),
        ({"TERM": "linux", "LC_ALL": "C"}, Colours.C16, Mode.ASCII),
        ({"TERM": "linux", "NO_COLOR": "1"}, Colours.NONE, Mode.ASCII),
        ({"TERM": "vt220"}, Colours.NONE, Mode.ASCII),
        ({"TERM": "dumb"}, Colours.NONE, Mode.PLAIN),
        ({}, Colours.NONE, Mode.PLAIN),
    ],
)
def test_terminals(environ: dict[str, str], colours: Colours, mode: Mode) -> None:
    ability = probe(UTF8 | environ)
    assert (ability.colours, ability.auto) == (colours, mode)
    assert ability.modes()[0] is ability.auto


def test_no_terminal_is_plain() -> None:
    assert probe({"TERM": "xterm-kitty"} | UTF8, is_tty=False).modes() == (Mode.PLAIN,)


def test_posix_order_of_the_locale() -> None:
    assert probe({"TERM": "xterm", "LC_ALL": "C", "LANG": "de_DE.UTF-8"}).unicode is False
    assert probe({"TERM": "xterm", "LC_ALL": "", "LC_CTYPE": "C.utf8"}).unicode is True


def test_a_light_ground_is_known_where_it_is_told() -> None:
    assert probe({"TERM": "rxvt", "COLORFGBG": "0;default;15"}).light
    assert not probe({"TERM": "rxvt", "COLORFGBG": "15;0"}).light
