"""The question after a call: under which name to keep the other person. Keys answer it; a new name is typed as a line.

Only the offered keys answer it. Left out: which person the question is about, and when it is withdrawn
(`engine.key_pinning`).
"""

from collections.abc import Callable
from typing import Final

from p2pcall.cli.options import check_dialable
from p2pcall.cli.question import Question
from p2pcall.errors import P2PCallError
from p2pcall.proto.constants import NAME_BYTES
from p2pcall.store.contacts import normalise_name
from p2pcall.view.terminal import Terminal

SKIP_KEYS: Final = frozenset({"n", "q", "d", "escape", "eof"})


class NameQuestion(Question):
    """`offered` is the name that needs no typing, or empty. `typing`: the previous name was not accepted.

    The answer is the name to keep the person under; None: do not keep.
    """

    def __init__(
        self,
        terminal: Terminal,
        offered: str,
        asks: Callable[[Terminal | None], None],
        *,
        typing: bool = False,
    ) -> None:
        super().__init__(terminal, asks)
        self._offered = offered
        self._typed: str | None = "" if typing else None
        """The part of a name typed so far; None: no name is being typed."""

    def _show(self) -> None:
        if self._typed is None:
            self._terminal.write(f"[k] as {self._offered}  ".encode() * bool(self._offered))
            self._terminal.write(b"[o] under another name  [n] no ")
        else:
            self._terminal.write(b"name: ")

    def _pressed(self, key: str) -> None:
        if self._typed is not None:
            self._type(key, self._typed)
        elif key == "k" and self._offered:
            self._answer.set_result(self._offered)
        elif key == "o":
            self._begin("")
        elif key in SKIP_KEYS:
            self._answer.set_result(None)

    def _begin(self, typed: str) -> None:
        self._typed = typed
        self._terminal.write(f"\r\nname: {typed}".encode())

    def _type(self, key: str, typed: str) -> None:
        if key == "enter":
            self._name(typed)
        elif key in ("escape", "eof"):
            self._answer.set_result(None)
        elif key == "backspace":
            self._begin(typed[:-1])
        elif len(key) == 1 and len((typed + key).encode()) <= NAME_BYTES:
            self._typed = typed + key
            self._terminal.write(key.encode())

    def _name(self, typed: str) -> None:
        """Take the typed name; an empty line means no."""
        if not typed.strip():
            self._answer.set_result(None)
            return
        try:
            name = normalise_name(typed)
            check_dialable(name, "a contact called")
        except P2PCallError as error:
            self._terminal.write(b"\r\n" + error.text.encode())
            self._begin("")
        else:
            self._answer.set_result(name)
