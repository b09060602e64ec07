"""Bytes from a keyboard to names of keys. Pure; bytes may come in any pieces.

A printable key is its own character; others have names ("up", "ctrl-c", "escape", "enter"). Other sequences, pasted
text and answers of the terminal are dropped, so that a paste or a late answer cannot hang up a call. Follows ECMA-48
(control sequences), xterm's bracketed paste and focus reports, and kitty's keyboard protocol if the terminal was asked
to report releases ("space-up"; no other release is reported). Left out: mouse, modifiers of named keys.
"""

import re
import sys
from typing import Final

_CSI: Final = re.compile(rb"\x1b\[[0-?]*[ -/]*[@-~]")
_SS3: Final = re.compile(rb"\x1bO[ -~]")
_STRING: Final = re.compile(rb"\x1b[\]PX^_].*?(?:\x07|\x1b\\)", re.DOTALL)
_PASTE_BEGIN, _PASTE_END = b"\x1b[200~", b"\x1b[201~"
_ESCAPE: Final = b"\x1b"
_ANSWER: Final = b"\x1b[0n"
_REPORTS: Final = re.compile(rb"\x1b_G.*|\x1b\[\?[\d;]*[cS]", re.DOTALL)
_MAX_REPORTS: Final = 8
"""What is told beyond this, between two calls of `take_reports`, is dropped: few things are asked."""
_MAX_HELD_BYTES: Final = 4096
_FINALS: Final = {"A": "up", "B": "down", "C": "right", "D": "left", "H": "home", "F": "end"}
_TILDES: Final = {"1": "home", "2": "insert", "3": "delete", "4": "end", "5": "page-up", "6": "page-down"}
LOOKED_AWAY: Final = "focus-out"
SPACE_DOWN: Final = "space-down"
SPACE_UP: Final = "space-up"
_SPACE: Final = "32"
_FOCUS_LOST: Final = "O"
_RELEASED: Final = "3"
"""A kind of event in kitty's protocol."""
_CTRL, _OTHERS = 0b100, 0b11_1010
"""Its modifiers: those beside shift, control and the locks write no character."""
_CONTROLS: Final = {
    0x09: "tab",
    0x0A: "enter",
    0x0D: "enter",
    0x7F: "backspace",
    0x08: "backspace",
    0x00: "ctrl-space",
}


class KeyParser:
    """Pass the read bytes to `feed`; it returns the complete keys and holds the rest."""

    def __init__(self) -> None:
        self.answers = 0
        """How many answers to a status request (DSR 5) have come; `Terminal` uses them as back-pressure."""
        self._reports: list[bytes] = []
        self._held = b""
        self._pasting = False

    def take_reports(self) -> list[bytes]:
        """What the terminal has told of its graphics (`graphics.with_report`)."""
        reports, self._reports = self._reports, []
        return reports

    def _report(self, sequence: bytes) -> None:
        if _REPORTS.fullmatch(sequence) and len(self._reports) < _MAX_REPORTS:
            self._reports.append(sequence)

    def feed(self, data: bytes) -> list[str]:
        """Names of the keys completed by `data`. A lone ESC at the end is held: it may begin a sequence."""
        buffer = (self._held + data)[-_MAX_HELD_BYTES:]
        keys: list[str] = []
        while buffer:
            if self._pasting:
                _, end, rest = buffer.partition(_PASTE_END)
                if not end:
                    buffer = buffer[-(len(_PASTE_END) - 1) :]
                    break
                self._pasting, buffer = False, rest
                continue
            used, key = self._one(buffer)
            if not used:
                break
            buffer = buffer[used:]
            if key:
                keys.append(key)
        self._held = buffer
        return keys

    @property
    def escape_held(self) -> bool:
        """Whether a lone ESC is held, because more may follow."""
        return self._held == _ESCAPE and not self._pasting

    def settle(self) -> list[str]:
        """Nothing has followed for a while: a held ESC becomes the Escape key."""
        if not self.escape_held:
            return []
        self._held = b""
        return ["escape"]

    def _one(self, buffer: bytes) -> tuple[int, str]:
        """The length of the first key or sequence in `buffer` (0: incomplete), and its name ("": not a key)."""
        first = buffer[0]
        if first == 0x1B:
            return self._escape(buffer)
        if first < 0x20 or first == 0x7F:
            return 1, _CONTROLS.get(first) or f"ctrl-{chr(first + 0x40).lower()}"
        if first < 0x80:
            return 1, chr(first)
        length = 2 if first < 0xE0 else 3 if first < 0xF0 else 4
        if len(buffer) < length:
            return (0, "") if all(0x80 <= b < 0xC0 for b in buffer[1:]) else (1, "")
        try:
            char = buffer[:length].decode()
        except UnicodeDecodeError:
            return 1, ""
        return length, char if char.isprintable() else ""

    def _escape(self, buffer: bytes) -> tuple[int, str]:
        if len(buffer) == 1:
            return 0, ""
        if found := _CSI.match(buffer):
            sequence = found.group()
            if sequence == _PASTE_BEGIN:
                self._pasting = True
            elif sequence == _ANSWER:
                self.answers += 1
            self._report(sequence)
            return len(sequence), _name(sequence[2:].decode("ascii"))
        if found := _SS3.match(buffer):
            return len(found.group()), _FINALS.get(chr(buffer[2]), "")
        if found := _STRING.match(buffer):
            self._report(found.group())
            return len(found.group()), ""
        if buffer[1:2] in (b"[", b"O", b"]", b"P", b"X", b"^", b"_") and len(buffer) < _MAX_HELD_BYTES:
            return (0, "") if _may_grow(buffer) else (2, "")
        return 1, "escape"  # ESC was pressed, then another key


def _may_grow(buffer: bytes) -> bool:
    """Whether `buffer` begins a sequence that more bytes could complete."""
    if buffer[1:2] == b"[":
        return re.fullmatch(rb"\x1b\[[0-?]*[ -/]*", buffer) is not None
    return buffer[1:2] != b"O" or len(buffer) == 2


def _name(body: str) -> str:
    final, fields = body[-1], [*body[:-1].split(";"), ""]
    first, (modifiers, _, kind) = fields[0], fields[1].partition(":")
    if body == _FOCUS_LOST:
        return LOOKED_AWAY
    if kind == _RELEASED:
        return SPACE_UP if final == "u" and first == _SPACE else ""
    if final == "u":
        return _kitty_name(first, modifiers or "1")
    if final == "~":
        return _TILDES.get(first, "")
    return _FINALS.get(final, "") if first in ("", "1") else ""


def _kitty_name(code: str, modifiers: str) -> str:
    """Of a key with kitty's number; "" for one that has no name here."""
    if not (code.isdigit() and modifiers.isdigit()) or int(code) > sys.maxunicode:
        return ""
    number, held = int(code), int(modifiers) - 1
    char = chr(number)
    if held & _OTHERS:
        return ""
    if held & _CTRL:
        return f"ctrl-{char}" if char.isascii() and char.isprintable() else ""
    if number == _ESCAPE[0]:
        return "escape"
    return _CONTROLS.get(number) or (char if char.isprintable() else "")
