"""Why a dial has not reached whom it was for, in words: no route, no answer, another key."""

from collections.abc import Mapping, Sequence
from errno import EADDRNOTAVAIL, EAFNOSUPPORT, EINVAL, ENETUNREACH
from typing import Final

from p2pcall.engine.locate import Location
from p2pcall.errors import ExitCode, P2PCallError
from p2pcall.net.address import format_address
from p2pcall.store.contacts import key_changed
from p2pcall.store.identity import fingerprint
from p2pcall.types import Address

NO_WAY: Final = frozenset({EADDRNOTAVAIL, EAFNOSUPPORT, EINVAL, ENETUNREACH})
"""Errors for an address that cannot be reached from this machine's own (or bound) addresses."""


def no_way(bound: Sequence[str], what: str, why: str) -> P2PCallError:
    """There is no route: the other side is not the cause; `--bind` is, if it is given."""
    hint = "ip route"
    if bound:
        why, hint = f"--bind {' '.join(bound)} does not lead there", "leave out --bind, or give it twice"
    return P2PCallError("no-way", f"{what} {why}", ExitCode.NOT_FOUND, hint)


def nothing_answers(
    addresses: Sequence[Address], refused: Mapping[Address, int], bound: Sequence[str]
) -> P2PCallError:
    """All were knocked at; `refused`: what the system said of them."""
    where = ", ".join(format_address(address) for address in addresses)
    if {refused.get(address) for address in addresses} <= NO_WAY:
        return no_way(bound, f"nothing can be sent to {where}:", "no network of this machine leads there")
    return P2PCallError(
        "unreachable",
        f"nothing answers at {where}",
        ExitCode.NOT_FOUND,
        "is `p2pcall listen` running there, open to you, and does its firewall let UDP through?",
    )


def another_key(found: Location, shown: bytes | None) -> P2PCallError:
    """Somebody else answers than was dialled."""
    pinned = found.expected_key
    assert pinned is not None
    assert shown is not None
    if found.name is not None:
        return key_changed(found.name, pinned, shown)
    text = f"{fingerprint(shown)} answers there, not {fingerprint(pinned)}, which was dialled"
    hint = "ask them, over another channel, for the URI that `p2pcall id` tells, and where they are"
    return P2PCallError("key-changed", text, ExitCode.UNTRUSTED, hint)
