"""What a terminal can do, from the environment alone. Pure: the terminal is not asked.

Terminals give no answer about 24-bit colours or half blocks, so this is a table of known terminals. In doubt it assumes
less: nearly every terminal draws 256 colours, every one draws characters; a Linux console has 16 colours.
`NO_COLOR` is obeyed. Pixels are asked for, but not inside tmux or GNU screen, which do not pass them on (`graphics`).
"""

import re
from collections.abc import Mapping
from enum import IntEnum, StrEnum
from typing import Final

from msgspec import Struct
from msgspec.structs import replace


class Mode(StrEnum):
    """How the picture is drawn; `PLAIN` draws none, only one line of text a second."""

    BLOCKS = "blocks"
    ASCII = "ascii"
    KITTY = "kitty"
    SIXEL = "sixel"
    QUADRANTS = "quadrants"
    SEXTANTS = "sextants"
    BRAILLE = "braille"
    PLAIN = "plain"


PICTURE_MODES: Final = tuple(mode.value for mode in Mode if mode is not Mode.PLAIN)
"""The values of --video-out that draw in a terminal, besides `auto`."""
_FINE_MODES: Final = (Mode.QUADRANTS, Mode.SEXTANTS, Mode.BRAILLE)
"""Modes that are drawn only if they are named: not every font has their characters whole."""


class Colours(IntEnum):
    """How many colours the terminal supports."""

    NONE = 0
    C16 = 1
    C256 = 2
    TRUE = 3


class Kitty(IntEnum):
    """How a terminal takes pictures by kitty's graphics protocol: not at all, in its bytes, or from a file too."""

    NO = 0
    DIRECT = 1
    FILE = 2


class Ability(Struct, frozen=True):
    """What one terminal can do. `cursor`: it can be drawn on; `light`: it is known to show dark text on light;
    `asked`: it may be asked for pixels; `kitty`, `sixel` and `registers` (of
    colours) are its answers; `fine` are modes that were named (`with_named`).
    """

    colours: Colours = Colours.TRUE
    unicode: bool = True
    cursor: bool = True
    title: bool = True
    light: bool = False
    asked: bool = False
    kitty: Kitty = Kitty.NO
    sixel: bool = False
    registers: int | None = None
    fine: tuple[Mode, ...] = ()

    @property
    def auto(self) -> Mode:
        """The best mode for this terminal (`--video-out auto`)."""
        return self.modes()[0]

    def modes(self) -> tuple[Mode, ...]:
        """The modes that the key `w` cycles through, best first.

        Pixels that go through the line come last: they take far more of it than cells.
        """
        if not self.cursor:
            return (Mode.PLAIN,)
        if not (self.unicode and self.colours):
            return (Mode.ASCII,)
        best = (Mode.KITTY,) if self.kitty is Kitty.FILE else ()
        direct = (Mode.KITTY,) if self.kitty is Kitty.DIRECT else ()
        return (*best, Mode.BLOCKS, Mode.ASCII, *self.fine, *direct, *((Mode.SIXEL,) if self.sixel else ()))


def with_named(ability: Ability, mode: str) -> Ability:
    """With the mode of this name, if it is one that must be named and has enough colours here."""
    fine = tuple(fine for fine in _FINE_MODES if fine == mode and ability.colours >= Colours.C256)
    return replace(ability, fine=fine)


_TRUE_TERMS: Final = re.compile(
    r"kitty|alacritty|foot|ghostty|wezterm|contour|iterm|konsole|-direct|truecolor|24bit"
)
_TRUE_PROGRAMS: Final = frozenset(
    {"iTerm.app", "WezTerm", "vscode", "ghostty", "Hyper", "rio", "Tabby", "WarpTerminal"}
)
_TRUE_VTE: Final = 3600
_TRUE_XTERM: Final = 331


def probe(environ: Mapping[str, str], is_tty: bool = True) -> Ability:
    """What the terminal of `environ` can do; `is_tty` says whether output goes to a terminal at all."""
    term = environ.get("TERM", "")
    unicode = _is_utf8(environ)
    if not is_tty or term in ("", "dumb", "unknown"):
        return Ability(Colours.NONE, unicode, cursor=False, title=False)
    colours = Colours.NONE if environ.get("NO_COLOR") else _colours(environ, term)
    console = term in ("linux", "cons25") or term.startswith("vt")
    inside = environ.get("TMUX") or environ.get("STY") or term.startswith(("tmux", "screen"))
    asked = not (console or inside or term.startswith("linux"))
    return Ability(colours, unicode, title=not console, light=_is_light(environ), asked=asked)


def _colours(environ: Mapping[str, str], term: str) -> Colours:
    if term.partition("-")[0] == "linux":
        return Colours.C16  # the console; the other variables describe another terminal
    if environ.get("STY") and not environ.get("TMUX"):
        return Colours.C256  # GNU screen 4 garbles 24-bit colours
    if environ.get("COLORTERM", "").lower() in ("truecolor", "24bit") or environ.get("TMUX"):
        return Colours.TRUE  # tmux reduces them itself if the outer terminal cannot show them
    if _TRUE_TERMS.search(term) or environ.get("TERM_PROGRAM") in _TRUE_PROGRAMS:
        return Colours.TRUE
    if environ.get("KITTY_WINDOW_ID") or environ.get("WT_SESSION"):
        return Colours.TRUE
    if (
        _number(environ.get("VTE_VERSION")) >= _TRUE_VTE
        or _number(environ.get("XTERM_VERSION")) >= _TRUE_XTERM
    ):
        return Colours.TRUE
    if "256" in term or term.startswith(("xterm", "screen", "tmux", "rxvt", "st-", "Eterm")):
        return Colours.C256
    return Colours.NONE


def _is_utf8(environ: Mapping[str, str]) -> bool:
    """POSIX order: LC_ALL, LC_CTYPE, LANG; the first that is set and not empty decides."""
    value = environ.get("LC_ALL") or environ.get("LC_CTYPE") or environ.get("LANG") or ""
    return "utf8" in value.lower().replace("-", "")


def _is_light(environ: Mapping[str, str]) -> bool:
    """COLORFGBG is "ink;ground" or "ink;default;ground" with numbers of the 16-colour palette."""
    return environ.get("COLORFGBG", "").rpartition(";")[2] in ("7", "15")


def _number(text: str | None) -> int:
    found = re.search(r"\d+", text or "")
    return int(found.group()) if found else 0
