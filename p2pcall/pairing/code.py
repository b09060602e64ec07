"""The code that one person tells another, and the URI that says the same and more.

A code is a number and at least two words of the PGP list (`proto.handshake.sas`), three-syllable and two-syllable in
turn: `7-crossover-clockwork`. It is read with any case, with spaces or hyphens, and with words cut short as long as
one word only begins so. A mistyped word is mostly no word at all, and is found here, before it costs the one guess.

The URI is for a QR code or another channel that carries more: the inviter's key, the code, the addresses.

    p2pcall:invite/1/KEY/CODE/HOST:PORT/HOST:PORT

It needs only characters that a QR code packs well, so an IPv6 address has no brackets: the port is after the last
colon. Left out: whether the addresses are any (`net.address`).
"""

from typing import Final

from msgspec import Struct

from p2pcall.pairing.constants import (
    CODE_PREFIX_CHARS,
    CODE_WORDS,
    INVITE_URI_VERSION,
    MAX_CODE_ADDRESSES,
    MAX_CODE_CHARS,
    MAX_CODE_NUMBER,
    MAX_CODE_WORDS,
)
from p2pcall.proto.constants import URI_VERSION
from p2pcall.proto.handshake.safety_number import identity_key, identity_uri
from p2pcall.proto.handshake.sas import EVEN, ODD
from p2pcall.types import Entropy

_LISTS: Final = tuple(tuple(word.lower() for word in words) for words in (ODD, EVEN))
"""The first word has three syllables, the second two, and so on."""
INVITE_PREFIX: Final = f"p2pcall:invite/{INVITE_URI_VERSION}/"


class Code(Struct, frozen=True):
    """A code. `number` is public, the words are the secret."""

    number: int
    words: tuple[str, ...]

    def __repr__(self) -> str:
        return f"Code(number={self.number})"

    @property
    def text(self) -> str:
        """As it is told and typed, and as both sides use it for SPAKE2."""
        return "-".join((str(self.number), *self.words))


class Invitation(Struct, frozen=True):
    """What a person has typed: a code, and from a URI the inviter's key and addresses (host, port), too."""

    code: Code
    public: bytes | None = None
    addresses: tuple[tuple[str, int], ...] = ()


def make_code(entropy: Entropy, words: int = CODE_WORDS) -> Code:
    """A new code with so many words."""
    number = int.from_bytes(entropy(2), "big") % MAX_CODE_NUMBER + 1
    return Code(number, tuple(_LISTS[at % 2][byte] for at, byte in enumerate(entropy(words))))


def parse_code(text: str) -> Code:
    """The code in a text. ValueError, with the reason in plain words; the reason does not repeat the words."""
    if len(text) > MAX_CODE_CHARS:
        raise ValueError("it is too long for a code")
    number, *typed = text.lower().replace("-", " ").split() or [""]
    if not (number.isascii() and number.isdecimal() and 1 <= int(number) <= MAX_CODE_NUMBER):
        raise ValueError(
            f"a code begins with a number from 1 to {MAX_CODE_NUMBER}, as 7-crossover-clockwork does"
        )
    if not CODE_WORDS <= len(typed) <= MAX_CODE_WORDS:
        raise ValueError(f"after the number come {CODE_WORDS} to {MAX_CODE_WORDS} words, not {len(typed)}")
    return Code(int(number), tuple(_word(at, word) for at, word in enumerate(typed)))


def _word(at: int, typed: str) -> str:
    """The word of the list that was typed as the one at this place."""
    found = _beginning(at, typed)
    if typed in found:
        return typed
    if len(typed) >= CODE_PREFIX_CHARS and len(found) == 1:
        return found[0]
    if typed in _LISTS[(at + 1) % 2]:
        raise ValueError(f"word {at + 1} does not belong at that place: one is missing, or two are swapped")
    if found:
        raise ValueError(f"word {at + 1} is not complete: type more of it")
    raise ValueError(f"word {at + 1} is none of the list that codes are made of")


def _beginning(at: int, typed: str) -> list[str]:
    return [word for word in _LISTS[at % 2] if word.startswith(typed)]


def completions(text: str) -> list[str]:
    """All ways to complete the last word of a code that is being typed; the rest stays as it is."""
    number, *typed = text.lower().replace("-", " ").split(" ")
    if not typed or not number.isdecimal():
        return []
    at, last = len(typed) - 1, typed[-1]
    before = text[: len(text) - len(last)]
    return [before + word for word in _beginning(at, last)]


def invite_uri(public: bytes, code: Code, addresses: list[tuple[str, int]]) -> str:
    """The URI of an invite; of the addresses only the first few."""
    key = identity_uri(public).rpartition("/")[2]
    places = [f"{host}:{port}" for host, port in addresses[:MAX_CODE_ADDRESSES]]
    return INVITE_PREFIX + "/".join((key, code.text, *places))


def parse_invitation(text: str) -> Invitation:
    """A code, or the URI of an invite, in any case. ValueError, with the reason in plain words."""
    text = text.strip().lower()
    if len(text) > MAX_CODE_CHARS:
        raise ValueError("it is too long for a code")
    if not text.startswith("p2pcall:"):
        return Invitation(parse_code(text))
    if text.startswith("p2pcall:invite/") and not text.startswith(INVITE_PREFIX):
        raise ValueError("it is of another version of the program")
    key, _, rest = text.removeprefix(INVITE_PREFIX).partition("/")
    code, *places = rest.split("/")
    if not text.startswith(INVITE_PREFIX) or not code:
        raise ValueError(f"a URI of an invite begins with {INVITE_PREFIX}, a key and a code")
    public = identity_key(f"p2pcall:id/{URI_VERSION}/{key}")
    return Invitation(parse_code(code), public, tuple(map(_place, places[:MAX_CODE_ADDRESSES])))


def _place(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not (port.isascii() and port.isdecimal()):
        raise ValueError("an address in it has no port")
    return host, int(port)
