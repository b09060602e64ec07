"""p2pcall-protocol(7) has the layouts, tables, constants and words of the code, and vectors that it makes.

Left out: whether the sentences around them are true.
"""

import re
import types
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from mdoc import literals, marked, page, parts, rows

from p2pcall.codec import opus, video
from p2pcall.media import constants as media
from p2pcall.media import packets
from p2pcall.net import discovery
from p2pcall.net.address import DEFAULT_PORT
from p2pcall.proto import calling, messages, sas, wire
from p2pcall.proto import constants as proto
from p2pcall.proto.control import Control
from p2pcall.proto.handshake import CIPHERS, Established, Initiator, Responder, StaticKey, suites
from p2pcall.proto.noise import XX, Entropy, HandshakeState
from p2pcall.proto.timing import Timing
from p2pcall.store.identity import FINGERPRINT_LABEL, fingerprint

# ---- p2pcall-protocol(7): layouts and tables

PROTOCOL = page("p2pcall-protocol.7")
SUBSECTIONS = {
    title: lines for section in PROTOCOL.values() for title, lines in parts(section, ".Ss").items()
}


def layout(title: str) -> list[tuple[int, int, str]]:
    """The rows of fixed length of a layout: offset, bytes, field; they follow each other without a gap."""
    lines = SUBSECTIONS[title]
    start = next(i for i, line in enumerate(lines) if line.startswith(".It Offset Ta Bytes"))
    table = rows(lines[start - 1 : lines.index(".El", start) + 1])
    known = [(int(cells[0]), int(cells[1]), cells[2]) for cells in table if cells[1].isdigit()]
    at = 0
    for offset, count, _ in known:
        assert offset == at, f"{title}: a gap before {offset}"
        at += count
    assert [int(cells[0]) for cells in table[len(known) :]] in ([], [at]), f"{title}: the open end"
    return known


def size(title: str) -> int:
    """Bytes of the fixed part of a layout."""
    return sum(size for _, size, _ in layout(title))


def values(title: str, data: bytes) -> list[int]:
    """What stands in `data` at the places of a layout."""
    return [int.from_bytes(data[at : at + size], "big") for at, size, _ in layout(title)]


def test_layouts_have_the_lengths_of_the_code() -> None:
    assert {
        "Initiation": size("Initiation"),
        "Response": size("Response"),
        "Confirmation": size("Confirmation"),
        "Data": size("Data"),
        "Frames": size("Frames"),
        "Message": size("Message"),
        "Acknowledgement": size("Acknowledgement"),
        "Audio packet": size("Audio packet"),
        "Audio frame": size("Audio frame"),
        "Video fragment": size("Video fragment"),
    } == {
        "Initiation": proto.INITIATION_BYTES,
        "Response": proto.RESPONSE_BYTES,
        "Confirmation": proto.CONFIRMATION_BYTES,
        "Data": proto.DATA_HEADER_BYTES,
        "Frames": proto.FRAME_HEADER_BYTES,
        "Message": proto.CONTROL_HEADER_BYTES,
        "Acknowledgement": proto.CONTROL_ACK_BYTES,
        "Audio packet": media.AUDIO_HEADER_BYTES,
        "Audio frame": media.AUDIO_COPY_HEADER_BYTES,
        "Video fragment": media.VIDEO_HEADER_BYTES,
    }


def test_frames_of_the_line_are_laid_out_as_described() -> None:
    assert values("Frames", wire.pack_frame(wire.Channel.AUDIO, bytes(300))) == [3, 300]
    sender, receiver = Control(), Control()
    sender.send(messages.ControlType.MEDIA, b"\1", 0.0)
    (message,) = sender.frames_due(0.0, 1.0)
    assert values("Message", message) == [0, 0, messages.ControlType.MEDIA]
    receiver.receive(message)
    (acknowledgement,) = receiver.frames_due(0.0, 1.0)
    assert values("Acknowledgement", acknowledgement) == [1, 1]
    assert len(acknowledgement) == size("Acknowledgement")
    near, far = Timing(0.0), Timing(0.0)
    (ping,) = near.frames_due(2.0)
    assert (values("Ping", ping), len(ping)) == ([1, 2 * proto.CLOCK_HZ], size("Ping"))
    far.receive(ping, 3.0)
    pong = far.frames_due(3.0)[0]
    assert (values("Pong", pong), len(pong)) == ([2, 2 * proto.CLOCK_HZ, 3 * proto.CLOCK_HZ], size("Pong"))


def test_media_payloads_are_laid_out_as_described() -> None:
    audio = packets.pack_audio(packets.AudioPacket(7, 160, (packets.AudioCopy(0, b"abc"),)))
    assert values("Audio packet", audio) == [7, 160, 1]
    assert values("Audio frame", audio[size("Audio packet") :]) == [0, 3]
    fragment = packets.pack_fragment(packets.VideoFragment(5, 99, 1, 2, True, b"x"))
    assert values("Video fragment", fragment) == [5, 99, 1, 2, media.FLAG_KEY]
    nack = packets.pack_feedback(packets.Nack(5, ()))
    assert (values("Nack", nack), len(nack)) == ([media.FEEDBACK_NACK, 5, 0], size("Nack"))
    assert packets.pack_feedback(packets.KeyRequest()) == bytes([2])
    assert size("Key frame request") == 1
    report = packets.pack_feedback(packets.Report(1, 2, 1.0, 3.0, 4, 5, 6))
    assert values("Report", report) == [media.FEEDBACK_REPORT, 1, 2, 0xFFFF, 30, 4, 5, 6]
    assert len(report) == size("Report")


def column_table(lines: Sequence[str], head: str) -> dict[int, str]:
    """First two cells of the table whose first column is called `head`."""
    start = next(i for i, line in enumerate(lines) if line.startswith(f".It {head} Ta"))
    table = rows(lines[start - 1 : lines.index(".El", start) + 1])
    return {int(cells[0]): cells[1] for cells in table}


def names(kind: Any) -> dict[int, str]:
    return {int(member): member.name for member in kind}


def test_numbered_names_are_those_of_the_code() -> None:
    assert column_table(SUBSECTIONS["Frames"], "Channel") == names(wire.Channel)
    assert column_table(SUBSECTIONS["Types"], "Type") == names(messages.ControlType)
    assert column_table(SUBSECTIONS["Flags"], "Bit") == names(messages.MediaFlags)
    sent = {value: name for value, name in names(messages.Reason).items() if value < messages.Reason.LOST}
    assert column_table(SUBSECTIONS["Reasons"], "Value") == sent
    protocols = {
        int(suite): HandshakeState(XX, cipher, True, b"", StaticKey.from_private(bytes(32))).protocol_name
        for suite, cipher in CIPHERS.items()
    }
    assert column_table(PROTOCOL["HANDSHAKE"], "Bit") == protocols


def test_the_call_table_is_that_of_the_code() -> None:
    (table,) = literals(PROTOCOL["CALLS"])
    assert table == calling.diagram().splitlines()


def test_word_lists_are_those_of_the_code() -> None:
    for title, wanted in (("Even", sas.EVEN), ("Odd", sas.ODD)):
        (lines,) = literals(SUBSECTIONS[title])
        assert tuple(" ".join(lines).split()) == wanted


def test_numbers_of_other_rooms_are_those_of_the_code() -> None:
    sound = " ".join(PROTOCOL["AUDIO"])
    assert f"{opus.VOICE_BPS:,} bit/s ({opus.VOICE_BPS // 400} bytes a frame)" in sound
    assert f"{video.MAX_WIDTH} by {video.MAX_HEIGHT}" in " ".join(PROTOCOL["VIDEO"])
    found = " ".join(PROTOCOL["DISCOVERY"])
    assert discovery.SERVICE_TYPE.removesuffix(".") in found
    assert [f".Li {key}={value} " in f"{found} " for key, value in discovery.TXT.items()] == [True]
    assert f"port is {DEFAULT_PORT}" in found
    assert FINGERPRINT_LABEL.decode() in " ".join(PROTOCOL["FINGERPRINT"])


# ---- p2pcall-protocol(7): constants

LOCAL = ("JITTER_", "STATS_", "MERGE_", "VIDEO_RATE_", "VIDEO_MIN_BPS", "VIDEO_MAX_BPS")
"""Beginnings of media constants that no other implementation needs to know."""


def shown(value: object) -> str:
    """A constant as the page writes it."""
    match value:
        case bytes():
            return value.decode()
        case tuple():
            return (" / " if value and isinstance(value[0], tuple) else ", ").join(map(shown, value))
        case int() if value >= 1 << 32:
            return f"2^{value.bit_length()}-{(1 << value.bit_length()) - value}"
        case float():
            return f"{value:g}"
        case _:
            return str(value)


def constants(module: types.ModuleType, left_out: tuple[str, ...] = ()) -> dict[str, str]:
    return {
        name: shown(value)
        for name, value in vars(module).items()
        if name.isupper() and not name.startswith(left_out or "-")
    }


@pytest.mark.parametrize(
    ("title", "wanted"),
    [("Of the line", constants(proto)), ("Of the media", constants(media, LOCAL))],
)
def test_constants_are_those_of_the_code(title: str, wanted: Mapping[str, str]) -> None:
    documented = {cells[0]: cells[1] for cells in rows(SUBSECTIONS[title])}
    assert documented == wanted


def test_constants_that_the_text_names_are_in_a_table() -> None:
    listed = {*constants(proto), *constants(media, LOCAL)}
    named = {word for lines in PROTOCOL.values() for line in lines for word in marked([line], "Dv")}
    assert {word for word in named if word.isupper()} <= listed


# ---- p2pcall-protocol(7): test vectors


def vectors() -> dict[str, str]:
    """name -> value, lines joined."""
    (lines,) = literals(PROTOCOL["TEST VECTORS"])
    found: dict[str, str] = {}
    name = ""
    for line in lines:
        if line.startswith(" "):
            found[name] += line.strip()
        else:
            name = line
            found[name] = ""
    return found


def fixed(*chunks: bytes) -> Entropy:
    """Entropy that gives these, one after the other."""
    left = list(chunks)

    def take(count: int) -> bytes:
        chunk = left.pop(0)
        assert len(chunk) == count
        return chunk

    return take


def test_vectors_are_what_the_code_makes() -> None:
    given = vectors()

    def raw(name: str) -> bytes:
        return bytes.fromhex(given[name])

    alice, bob = (
        StaticKey.from_private(raw(f"{side} static private key")) for side in ("initiator", "responder")
    )
    entropy = fixed(raw("initiator ephemeral private key"), raw("initiator nonce"))
    initiator = Initiator(alice, entropy, 0x01020304, suites(False))
    initiation = wire.parse_initiation(initiator.initiation)
    assert isinstance(initiation, wire.Initiation)
    entropy = fixed(raw("responder nonce"), raw("responder ephemeral private key"))
    responder = Responder.answer(bob, entropy, 0x05060708, suites(True), initiation)
    assert isinstance(responder, Responder)
    response = wire.parse_response(responder.response)
    assert isinstance(response, wire.Response)
    left = initiator.read_response(response)
    assert isinstance(left, Established)
    right = responder.read_confirmation(initiator.confirmation[proto.CONFIRMATION_HEADER_BYTES :])
    assert isinstance(right, Established)
    control = Control()
    control.send(messages.ControlType.INVITE, messages.pack_greeting("alice", True, True), 0.0)
    invite = wire.pack_frame(wire.Channel.CONTROL, *control.frames_due(0.0, 1.0))
    ping = wire.pack_frame(wire.Channel.TIMING, *Timing(0.0).frames_due(0.0))
    made = {
        "initiator static public key": alice.public,
        "responder static public key": bob.public,
        "commitment": sas.commitment(raw("initiator nonce"), alice.public),
        "prologue": proto.PROLOGUE_LABEL + initiation.header + response.header,
        "initiation": initiator.initiation,
        "response": responder.response,
        "confirmation": initiator.confirmation,
        "handshake hash": left.handshake_hash,
        "plaintext of the initiator": invite,
        "data of the initiator": left.session.seal(invite),
        "plaintext of the responder": ping,
        "data of the responder": right.session.seal(ping),
    }
    texts = {
        "words": " ".join(right.sas),
        "call": left.handshake_hash[: proto.CALL_ID_BYTES].hex(),
        "fingerprint of the responder": fingerprint(bob.public),
    }
    inputs = {name for name in given if name.endswith(("private key", "nonce"))}
    assert {name: text for name, text in given.items() if name not in inputs} == {
        **{name: data.hex() for name, data in made.items()},
        **texts,
    }


def test_vectors_fit_the_layouts() -> None:
    given = {name: bytes.fromhex(text) for name, text in vectors().items() if re.fullmatch("[0-9a-f]*", text)}
    assert values("Initiation", given["initiation"])[:5] == [1, 1, 1, 0, 0x01020304]
    assert values("Initiation", given["initiation"])[6:] == [int.from_bytes(given["commitment"], "big"), 0]
    assert values("Response", given["response"])[:6] == [2, 1, 1, 0, 0x05060708, 0x01020304]
    assert values("Confirmation", given["confirmation"])[:3] == [3, 0, 0x05060708]
    assert values("Data", given["data of the initiator"]) == [4, 0, 0x05060708, 0]
    assert values("Data", given["data of the responder"]) == [4, 0, 0x01020304, 0]
