"""How this run gets the passphrase of a sealed identity, and the identity's key once it is open: asked once a run."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path


class IdentityOpener:
    """`passphrase(path)` gives the passphrase of that file, or raises `P2PCallError` if there is no way to get it.

    `waiting()` is entered while the key is made from it, which takes half a second. `opened` is the private key; a
    command that changes the identity sets it anew.
    """

    def __init__(
        self,
        passphrase: Callable[[Path], bytes],
        waiting: Callable[[], AbstractContextManager[object]] = nullcontext,
    ) -> None:
        self.passphrase, self.waiting = passphrase, waiting
        self.opened: bytes | None = None

    def __repr__(self) -> str:
        return f"IdentityOpener(opened={self.opened is not None})"
