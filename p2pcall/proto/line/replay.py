"""The replay window: which counters may still arrive (RFC 6479's ring of words, WireGuard's size).

Call `is_fresh` before the AEAD, so that copies cost little, and `mark` after it, so that forgeries change nothing.
"""

from typing import Final

from p2pcall.proto.constants import REPLAY_WINDOW, REPLAY_WORD_BITS

_WORDS: Final = REPLAY_WINDOW // REPLAY_WORD_BITS + 1


class ReplayWindow:
    """Counters seen, among the newest `REPLAY_WINDOW`; `newest` is -1 before the first."""

    __slots__ = ("_words", "newest")

    def __init__(self) -> None:
        self.newest = -1
        self._words = [0] * _WORDS

    def is_fresh(self, counter: int) -> bool:
        """Whether this counter is neither seen nor too old; changes nothing."""
        if counter > self.newest:
            return True
        if self.newest - counter >= REPLAY_WINDOW:
            return False
        return not self._words[counter // REPLAY_WORD_BITS % _WORDS] >> counter % REPLAY_WORD_BITS & 1

    def mark(self, counter: int) -> None:
        """Record a fresh counter as seen."""
        word = counter // REPLAY_WORD_BITS
        if counter > self.newest:
            last = self.newest // REPLAY_WORD_BITS
            for stale in range(max(last, word - _WORDS) + 1, word + 1):
                self._words[stale % _WORDS] = 0
            self.newest = counter
        self._words[word % _WORDS] |= 1 << counter % REPLAY_WORD_BITS
