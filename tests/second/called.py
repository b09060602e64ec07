"""A second implementation of the called side: `python called.py OPTIONS`. It tells events as JSON.

Written from the manual page p2pcall-protocol(7) alone; imports the standard library, `cryptography` and its own
files. It waits for one call at a port of the loopback address, answers it at once, says what the words are, sends
the Opus frames of a file as its voice, answers new keys, writes down the Opus frames that come, and hangs up after
the last frame of its own.
"""

import argparse
import sys
import time

from call import UNANSWERED, Call, Socket, common_options, run, tell
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from door import Address, Answered, Door
from handshake import answer_new_keys
from line import Line
from patterns import AES, CHACHAPOLY, Keys

LOOPBACK = "127.0.0.1"
WAIT_S = 30.0


def let_in(udp: Socket, door: Door, give_up_s: float) -> tuple[Answered, Address] | None:
    """Answer knocks and initiations until one is confirmed."""
    deadline = time.monotonic() + give_up_s
    while (came := udp.receive(deadline)) is not None:
        data, source = came
        answer = door.receive(data, source, time.monotonic())
        if answer is not None:
            udp.send(answer, source)
        if door.done is not None and door.where is not None:
            return door.done, door.where
    return None


def options() -> argparse.Namespace:
    parser = common_options()
    parser.add_argument(
        "--contact", action="append", default=[], help="a public key that may knock with IKhfs"
    )
    parser.add_argument("--reach", choices=("anyone", "contacts"), default="anyone")
    parser.add_argument("--suites", type=int, default=AES | CHACHAPOLY)
    return parser.parse_args()


def main() -> int:
    given = options()
    static = X25519PrivateKey.from_private_bytes(bytes.fromhex(given.static))
    contacts = [bytes.fromhex(contact) for contact in given.contact]
    door = Door(static, given.suites, contacts, anyone=given.reach == "anyone")
    udp = Socket((LOOPBACK, 0))
    tell("listening", port=udp.port)
    let = let_in(udp, door, WAIT_S)
    if let is None:
        tell("failed")
        return UNANSWERED
    shaken, where = let
    assert shaken.keys is not None
    suite = AES if "AESGCM" in shaken.protocol else CHACHAPOLY

    def answer_keys(running: Keys, message_1: bytes) -> tuple[bytes, Keys]:
        return answer_new_keys(static, shaken.remote_static, suite, running, message_1)

    line = Line(shaken.keys, time.monotonic(), lambda datagram: udp.send(datagram, where), answer_keys)
    call = Call(udp, shaken, line, None)
    return run(call, line, given, call.answer)


if __name__ == "__main__":
    sys.exit(main())
