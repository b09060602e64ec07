"""The second implementation makes the test vectors of p2pcall-protocol(7), which the package makes as well."""

import pytest
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from door import Answered, Door
from handshake import Dial
from line import CONTROL, INVITE, RECORD_BYTES, TIMING, Line, frame
from patterns import AES, CHACHAPOLY, PAGE, Chosen, commitment, public_of

INITIATOR, RESPONDER = 0x01020304, 0x05060708
ADDRESS = "192.0.2.1", 50_000
BOTH = pytest.mark.parametrize(
    ("title", "offered", "known"),
    [("XXhfs with ChaChaPoly", CHACHAPOLY, False), ("IKhfs with AESGCM", CHACHAPOLY | AES, True)],
)


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


def private(name: str) -> X25519PrivateKey:
    return X25519PrivateKey.from_private_bytes(given(name))


def dialled(offered: int, *, known: bool) -> Dial:
    """Alice's dial, with all that she would choose at random."""
    static = private("initiator static private key")
    assert public_of(static) == given("initiator static public key")
    chosen = Chosen(
        INITIATOR,
        given("initiator nonce"),
        private("initiator ephemeral private key"),
        MLKEM768PrivateKey.from_seed_bytes(given("initiator ML-KEM seed")),
        token=given("token"),
        tag=bytes(range(16)),
        hidden_time=bytes(range(16, 24)),
        knock_nonce=given("knock nonce"),
        time_us=int.from_bytes(given("time"), "big"),
    )
    return Dial(static, offered, given("responder static public key") if known else None, chosen)


class DoorOfThePage(Door):
    """Bob's door, with all that he would choose at random."""

    def __init__(self, *, known: bool) -> None:
        chosen = Chosen(
            RESPONDER,
            given("responder nonce"),
            private("responder ephemeral private key"),
            encapsulate=lambda _: (given("ML-KEM shared secret"), given("ML-KEM ciphertext")),
        )
        contacts = [given("initiator static public key")]
        static = private("responder static private key")
        super().__init__(static, CHACHAPOLY | AES, contacts, anyone=not known, chosen=chosen)

    def _cookie(self, *_: object) -> bytes:
        return given("cookie")


def answered(title: str, *, known: bool) -> Answered:
    """What becomes of the datagrams of the page at Bob's door."""
    wanted = {
        name: bytes.fromhex(text) for name, text in vectors(title).items() if name.startswith(DATAGRAMS)
    }
    door = DoorOfThePage(known=known)
    assert door.receive(wanted["knock"], ADDRESS, 0.0) == wanted["cookie datagram"]
    whole = wanted["initiation"]
    half = len(whole) // 2
    first = wanted["part 0 before the chunk"] + whole[:half]
    second = wanted["part 1 before the chunk"] + whole[half:]
    assert door.receive(second, ADDRESS, 0.0) is None
    assert door.receive(first, ADDRESS, 0.0) == wanted["response"]
    assert door.done is None
    door.receive(wanted["confirmation"], ADDRESS, 0.0)
    assert door.done is not None
    return door.done


DATAGRAMS = ("knock", "cookie", "initiation", "part", "response", "confirmation")


@BOTH
def test_it_makes_the_vectors_of_the_page(title: str, offered: int, known: bool) -> None:
    wanted = vectors(title)
    dial = dialled(offered, known=known)
    assert dial.knock().hex() == wanted["knock"]
    assert dial.take_cookie(bytes.fromhex(wanted["cookie datagram"]))
    parts = dial.parts()
    assert "".join(part[24:].hex() for part in parts) == wanted["initiation"]
    for number, part in enumerate(parts):
        assert part[:24].hex() == wanted[f"part {number} before the chunk"]
    assert dial.take_response(bytes.fromhex(wanted["response"]))
    assert dial.confirmation.hex() == wanted["confirmation"]
    assert dial.protocol == wanted["protocol"]
    assert dial.fits(given("responder nonce"))
    assert not dial.fits(given("initiator nonce"))
    assert " ".join(dial.words(given("responder nonce"))) == wanted["words"]
    assert dial.remote_static == given("responder static public key")
    assert dial.keys is not None
    assert dial.keys.handshake_hash.hex() == wanted["handshake hash"]
    assert (dial.keys.own_index, dial.keys.remote_index) == (INITIATOR, RESPONDER)


@BOTH
def test_it_answers_the_vectors_of_the_page(title: str, offered: int, known: bool) -> None:
    wanted = vectors(title)
    bob = answered(title, known=known)
    assert bob.promised.hex() == wanted["commitment of the initiator"]
    assert (
        commitment("responder", bob.own_nonce, given("responder static public key")).hex()
        == (wanted["commitment of the responder"])
    )
    assert bob.protocol == wanted["protocol"]
    assert bob.fits(given("initiator nonce"))
    assert not bob.fits(given("responder nonce"))
    assert " ".join(bob.words(given("initiator nonce"))) == wanted["words"]
    assert bob.remote_static == given("initiator static public key")
    assert bob.keys is not None
    assert bob.keys.handshake_hash.hex() == wanted["handshake hash"]
    assert (bob.keys.own_index, bob.keys.remote_index) == (RESPONDER, INITIATOR)
    sent: list[bytes] = []
    line = Line(bob.keys, 0.0, sent.append)
    line.work(0.0, voice_flows=False)
    assert [record.hex() for record in sent] == [wanted["first data of the responder"]]
    assert line.receive(bytes.fromhex(wanted["first data of the initiator"]), 0.0)
    assert line.heard == [(INVITE, b"\3\5alice")]


@BOTH
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
