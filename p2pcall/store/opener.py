"""How this run gets the passphrase of a sealed identity, and the identity's key once it is open: asked once a run."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TypeVar

from p2pcall.errors import P2PCallError

_T = TypeVar("_T")


class IdentityOpener:
    """`passphrase(path)` gives the passphrase of that file, or raises `P2PCallError` if there is no way to get it.

    `waiting()` is entered while the key is made from it, which takes half a second. `again()` says whether another one
    is to be tried after a wrong one; if not, nobody is asked again in this run. `opened` is the private key, `text` the
    line of the file that held it; a command that changes the identity sets both anew (`now`).
    """

    def __init__(
        self,
        passphrase: Callable[[Path], bytes],
        waiting: Callable[[], AbstractContextManager[object]] = nullcontext,
        again: Callable[[], bool] = lambda: False,
    ) -> None:
        self._passphrase, self.waiting, self._again = passphrase, waiting, again
        self.opened: bytes | None = None
        self.text = ""
        self._refused: P2PCallError | None = None
        """How the last try has failed."""

    def __repr__(self) -> str:
        return f"IdentityOpener(opened={self.opened is not None})"

    def now(self, private: bytes, text: str) -> None:
        """This is the private key from now on, and the line that holds it."""
        self.opened, self.text = private, text

    def with_passphrase(self, path: Path, work: Callable[[bytes], _T]) -> _T:
        """What `work` makes with the passphrase of `path`. P2PCallError (config): `wrong-passphrase`, and others."""
        while self._refused is None:
            passphrase = self._passphrase(path)
            try:
                with self.waiting():
                    return work(passphrase)
            except P2PCallError as error:
                del passphrase
                if error.slug != "wrong-passphrase":
                    raise
                if not self._again():
                    self._refused = error
        raise self._refused
