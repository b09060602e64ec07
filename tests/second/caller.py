"""A second implementation of the calling side: `python caller.py HOST PORT OPTIONS`. It tells events as JSON.

Written from the manual page p2pcall-protocol(7) alone; imports the standard library, `cryptography` and its own
files. It dials, says what the words are, sends the Opus frames of a file as its voice, changes the keys if told
so, writes down the Opus frames that come, and hangs up after the last frame of its own.
"""

import argparse
import sys
import time

from call import UNANSWERED, Call, Socket, common_options, run, tell
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from door import Address
from handshake import Dial, NewKeys
from line import Line
from patterns import AES, CHACHAPOLY

WAITS_S = (0.25, 0.25, 0.5)
DIAL_S = 5.0


def shake_hands(udp: Socket, where: Address, dial: Dial, give_up_s: float) -> bool:
    """Knock, show the cookie, read the response. False: nobody answered."""
    deadline = time.monotonic() + give_up_s
    waits = iter((*WAITS_S, *[WAITS_S[-1]] * 20))
    out: list[bytes] = []
    due = 0.0
    while (now := time.monotonic()) < deadline:
        if now >= due:
            due = now + next(waits)
            for datagram in (*out, dial.knock()):
                udp.send(datagram, where)
        came = udp.receive(min(due, deadline))
        if came is None:
            continue
        if dial.take_cookie(came[0]):
            fresh, out = not out, dial.parts()
            for datagram in out if fresh else []:
                udp.send(datagram, where)
        elif dial.take_response(came[0]):
            return True
    return False


def options() -> argparse.Namespace:
    parser = common_options()
    parser.add_argument("host")
    parser.add_argument("port", type=int)
    parser.add_argument("--expect", help="the other side's public key: then the pattern is IKhfs")
    parser.add_argument("--give-up", type=float, default=DIAL_S, help="seconds without an answer")
    parser.add_argument("--offer", type=int, default=AES | CHACHAPOLY)
    parser.add_argument("--new-keys-at", type=int, default=-1, help="at which frame the keys are changed")
    return parser.parse_args()


def main() -> int:
    given = options()
    static = X25519PrivateKey.from_private_bytes(bytes.fromhex(given.static))
    expected = None if given.expect is None else bytes.fromhex(given.expect)
    udp, where = Socket(("", 0)), (given.host, given.port)
    dial = Dial(static, given.offer, expected)
    if not shake_hands(udp, where, dial, given.give_up):
        tell("failed")
        return UNANSWERED
    assert dial.keys is not None
    line = Line(dial.keys, time.monotonic(), lambda datagram: udp.send(datagram, where))
    call = Call(udp, dial, line, lambda: udp.send(dial.confirmation, where))
    suite = AES if "AESGCM" in dial.protocol else CHACHAPOLY

    def make() -> NewKeys:
        return NewKeys(static, dial.remote_static, suite, line.keys)

    return run(call, line, given, call.invite, new_keys_at=given.new_keys_at, make=make)


if __name__ == "__main__":
    sys.exit(main())
