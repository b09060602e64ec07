"""QR codes (ISO/IEC 18004) in a terminal: two modules a character cell, dark on light in any terminal.

Only on a terminal that has the characters and is wide enough. A line of text beside it says the same, so nothing is
lost if the code is not drawn.
"""

import shutil
from typing import Final

from p2pcall.env import Env
from p2pcall.view.probe import probe

BORDER: Final = 2
"""Light modules around the code; the standard's four are for paper, screens need fewer."""
_INK, _PLAIN = "\x1b[38;5;16;48;5;231m", "\x1b[0m"
_DARK_ON_LIGHT: Final = {(0, 0): " ", (0, 1): "▄", (1, 0): "▀", (1, 1): "█"}
_LIGHT_ON_DARK: Final = {(1, 1): " ", (1, 0): "▄", (0, 1): "▀", (0, 0): "█"}


def qr_lines(text: str, *, colours: bool, exact: bool = False) -> list[str]:
    """The code for `text`, one line for two rows of modules; without colours a dark terminal is assumed.

    The text is put in capitals, because the code is then a third smaller; readers of our URIs ignore case. `exact`: it
    is for other readers, and stays as it is.
    """
    import segno

    code = segno.make(text if exact else text.upper(), error="m", micro=False)
    rows = [list(row) for row in code.matrix_iter(border=BORDER)]
    rows += [[0] * len(rows[0])] * (len(rows) % 2)
    signs = _DARK_ON_LIGHT if colours else _LIGHT_ON_DARK
    lines = [
        "".join(signs[upper, lower] for upper, lower in zip(*pair, strict=True))
        for pair in zip(rows[::2], rows[1::2], strict=True)
    ]
    return [f"{_INK}{line}{_PLAIN}" if colours else line for line in lines]


def show_qr(env: Env, text: str, *, exact: bool = False) -> None:
    """Draw the code on stdout if that is a terminal that can show it whole."""
    if not env.stdout.isatty():
        return
    ability = probe(env.environ)
    if not (ability.unicode and ability.cursor):
        return
    plain = qr_lines(text, colours=False, exact=exact)
    if len(plain[0]) <= shutil.get_terminal_size().columns:
        drawn = qr_lines(text, colours=True, exact=exact) if ability.colours else plain
        env.stdout.write("\n" + "\n".join(drawn) + "\n")
