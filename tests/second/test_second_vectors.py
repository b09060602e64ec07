"""The second implementation makes the test vectors of p2pcall-protocol(7), which the package makes as well."""

import pytest
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from handshake import AES, CHACHAPOLY, PAGE, Chosen, Dial, public_of
from line import CONTROL, INVITE, RECORD_BYTES, TIMING, Line, frame

INITIATOR, RESPONDER = 0x01020304, 0x05060708


def vectors(title: str) -> dict[str, str]:
    """name -> value, lines joined."""
    _, _, after = PAGE.read_text().partition(f".Ss {title}\n")
    found: dict[str, str] = {}
    name = ""
    for line in after.partition(".Bd -literal\n")[2].partition(".Ed\n")[0].splitlines():
        if line.startswith(" "):
            found[name] += line.strip()
        else:
            name = line
            found[name] = ""
    return found


GIVEN = vectors("What is given")


def given(name: str) -> bytes:
    return bytes.fromhex(GIVEN[name])


def dialled(offered: int, *, known: bool) -> Dial:
    """Alice's dial, with all that she would choose at random."""
    static = X25519PrivateKey.from_private_bytes(given("initiator static private key"))
    assert public_of(static) == given("initiator static public key")
    chosen = Chosen(
        INITIATOR,
        given("token"),
        bytes(range(16)),
        given("initiator nonce"),
        X25519PrivateKey.from_private_bytes(given("initiator ephemeral private key")),
        MLKEM768PrivateKey.from_seed_bytes(given("initiator ML-KEM seed")),
        int.from_bytes(given("timestamp"), "big"),
    )
    return Dial(static, offered, given("responder static public key") if known else None, chosen)


@pytest.mark.parametrize(
    ("title", "offered", "known"),
    [("XXhfs with ChaChaPoly", CHACHAPOLY, False), ("IKhfs with AESGCM", CHACHAPOLY | AES, True)],
)
def test_it_makes_the_vectors_of_the_page(title: str, offered: int, known: bool) -> None:
    wanted = vectors(title)
    dial = dialled(offered, known=known)
    assert dial.knock().hex() == wanted["knock"]
    assert dial.take_cookie(bytes.fromhex(wanted["cookie datagram"]))
    parts = dial.parts()
    assert "".join(part[24:-16].hex() for part in parts) == wanted["initiation"]
    for number, part in enumerate(parts):
        assert part[:24].hex() == wanted[f"part {number} before the chunk"]
        assert part[-16:].hex() == wanted[f"part {number} after the chunk"]
    assert dial.take_response(bytes.fromhex(wanted["response"]))
    assert dial.confirmation.hex() == wanted["confirmation"]
    assert (" ".join(dial.words), dial.protocol) == (wanted["words"], wanted["protocol"])
    assert dial.remote_static == given("responder static public key")
    assert dial.keys is not None
    assert dial.keys.handshake_hash.hex() == wanted["handshake hash"]
    assert (dial.keys.own_index, dial.keys.remote_index) == (INITIATOR, RESPONDER)


@pytest.mark.parametrize(
    ("title", "offered", "known"),
    [("XXhfs with ChaChaPoly", CHACHAPOLY, False), ("IKhfs with AESGCM", CHACHAPOLY | AES, True)],
)
def test_its_first_records_are_those_of_the_page(title: str, offered: int, known: bool) -> None:
    wanted = vectors(title)
    dial = dialled(offered, known=known)
    dial.knock()
    dial.take_cookie(bytes.fromhex(wanted["cookie datagram"]))
    dial.take_response(bytes.fromhex(wanted["response"]))
    assert dial.keys is not None
    sent: list[bytes] = []
    line = Line(dial.keys, 0.0, sent.append)
    invite = given("plaintext of the initiator, without padding")
    assert frame(CONTROL, bytes(9) + bytes((INVITE, 3, 5)) + b"alice") == invite
    line.seal(invite.ljust(RECORD_BYTES, b"\0"))
    assert sent[0].hex() == wanted["first data of the initiator"]
    record = bytes.fromhex(wanted["first data of the responder"])
    ping = dial.keys.receiving.open(0, record[16:])
    assert ping == given("plaintext of the responder, without padding").ljust(RECORD_BYTES, b"\0")
    assert ping[0] == TIMING
    assert line.receive(record, 0.0)
    assert not line.receive(record, 0.0), "each counter is taken once"
