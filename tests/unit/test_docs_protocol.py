"""p2pcall-protocol(7) has the layouts, tables, constants and words of the code, and vectors that it makes.

Left out: whether the sentences around them are true.
"""

import re
import types
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from mdoc import literals, marked, page, parts, rows
from spake2.parameters.ed25519 import ParamsEd25519 as params

from p2pcall.codec import video
from p2pcall.media import constants as media
from p2pcall.media import packets
from p2pcall.media.voice_control import VoiceControl
from p2pcall.media.voice_levels import VoiceLevel, ladder
from p2pcall.net import discovery, invites, lanpeer
from p2pcall.net.address import DEFAULT_PORT
from p2pcall.pairing import code, datagrams
from p2pcall.pairing import constants as pairing
from p2pcall.proto import constants as proto
from p2pcall.proto import messages, phase, wire
from p2pcall.proto.call import table as calls
from p2pcall.proto.handshake import noise, sas
from p2pcall.proto.handshake.exchange import CIPHERS, PATTERNS
from p2pcall.proto.handshake.noise import protocol_name
from p2pcall.proto.line.control import Control
from p2pcall.proto.line.timing import Timing
from p2pcall.proto.wire import PatternId
from p2pcall.store.identity import FINGERPRINT_LABEL
from p2pcall.types import Profile

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


FIRST_CONTACT = {
    "Query": pairing.QUERY_BYTES,
    "Offer": pairing.OFFER_BYTES,
    "Proof": pairing.PROOF_BYTES,
    "Result": pairing.RESULT_BYTES,
    "Refusal": pairing.REFUSAL_BYTES,
    "Done": pairing.DONE_BYTES,
    "Introduction": pairing.INTRODUCTION_BYTES,
}


def test_layouts_have_the_lengths_of_the_code() -> None:
    assert {
        "Knock": size("Knock"),
        "Cookie": size("Cookie"),
        "Initiation": size("Initiation"),
        "Part": size("Part"),
        "Response": size("Response"),
        "Confirmation": size("Confirmation"),
        "Data": size("Data"),
        "Frames": size("Frames"),
        "Piece": size("Piece"),
        "Message": size("Message"),
        "Acknowledgement": size("Acknowledgement"),
        "Audio packet": size("Audio packet"),
        "Audio frame": size("Audio frame"),
        "Video fragment": size("Video fragment"),
        **{title: size(title) for title in FIRST_CONTACT},
    } == {
        "Knock": proto.KNOCK_BYTES,
        "Cookie": proto.COOKIE_BYTES,
        "Initiation": proto.INITIATION_HEADER_BYTES,
        "Part": proto.PART_HEADER_BYTES,
        "Response": proto.RESPONSE_HEADER_BYTES,
        "Confirmation": proto.CONFIRMATION_HEADER_BYTES,
        "Data": proto.DATA_HEADER_BYTES,
        "Frames": proto.FRAME_HEADER_BYTES,
        "Piece": proto.REKEY_HEADER_BYTES,
        "Message": proto.CONTROL_HEADER_BYTES,
        "Acknowledgement": proto.CONTROL_ACK_BYTES,
        "Audio packet": media.AUDIO_HEADER_BYTES,
        "Audio frame": media.AUDIO_COPY_HEADER_BYTES,
        "Video fragment": media.VIDEO_HEADER_BYTES,
        **FIRST_CONTACT,
    }


def test_the_first_contact_is_as_described() -> None:
    for title, length in FIRST_CONTACT.items():
        assert title == "Introduction" or f"{length} bytes." in running(title), title
        if title != "Introduction":
            assert layout(title)[0] == (0, 1, f"type, {datagrams.PairingType[title.upper()]}")
    proof = datagrams.Proof(7, bytes(16), b"B" * 33, bytes(32), bytes(32), bytes(272)).pack()
    assert values("Proof", proof)[:3] == [datagrams.PairingType.PROOF, pairing.PAIRING_VERSION, 7]
    ((m, n), *_) = literals(SUBSECTIONS["Key exchange"])
    assert [m, n] == [params.M.to_bytes().hex(), params.N.to_bytes().hex()]
    for label in (pairing.TRANSCRIPT_LABEL, pairing.PAIRING_KEYS_LABEL):
        assert rf"\(dq{label.decode()}\(dq" in running("Keys of the run")
    for label in (pairing.INVITER_POSSESSION_LABEL, pairing.JOINER_POSSESSION_LABEL):
        assert rf"\(dq{label.decode()}\(dq" in running("Introduction")
    assert invites.INVITE_SERVICE.removesuffix(".") in running("Announcement")
    assert code.INVITE_PREFIX in running("Code")


def running(title: str) -> str:
    """A section or subsection as running text."""
    return " ".join(PROTOCOL.get(title) or SUBSECTIONS[title])


def test_lengths_in_the_text_are_those_of_the_code() -> None:
    xx, ik = PatternId.XXHFS, PatternId.IKHFS
    half = {pattern: length // proto.PARTS for pattern, length in wire.INITIATION_BYTES.items()}
    assert f"From the initiator, {proto.KNOCK_BYTES} bytes." in running("Knock")
    assert f"From the responder, {proto.COOKIE_BYTES} bytes." in running("Cookie")
    for title, lengths in (
        ("Initiation", wire.INITIATION_BYTES),
        ("Initiation", half),
        ("Part", wire.PART_BYTES),
        ("Response", wire.RESPONSE_BYTES),
        ("Confirmation", wire.CONFIRMATION_BYTES),
    ):
        assert f"{lengths[xx]} bytes for XXhfs" in running(title), title
        assert re.search(rf"\b{lengths[ik]} for IKhfs", running(title)), title
    renewed = running("NEW KEYS")
    for length in (proto.REKEY_FIRST_BYTES, proto.REKEY_SECOND_BYTES):
        assert f"{length} bytes in all" in renewed
    assert f"{proto.REKEY_PART_BYTES} bytes of the message" in running("Piece")
    pieces = [-(-n // proto.REKEY_PART_BYTES) for n in (proto.REKEY_FIRST_BYTES, proto.REKEY_SECOND_BYTES)]
    assert pieces == [14, 13]
    assert "Fourteen parts make message 1, thirteen message 2" in running("Piece")


def whole(text: str) -> int:
    """`e1 1184+16, s 32+16`: the sum."""
    return sum(int(number) for number in re.findall(r"(?<![a-z\d])\d+", text))


@pytest.mark.parametrize(
    ("pattern", "lengths"),
    [
        ("XXhfs", (proto.MESSAGE_1_XX_BYTES, proto.MESSAGE_2_XX_BYTES, proto.MESSAGE_3_XX_BYTES)),
        ("IKhfs", (proto.MESSAGE_1_IK_BYTES, proto.MESSAGE_2_IK_BYTES, proto.MESSAGE_3_IK_BYTES)),
    ],
)
def test_patterns_are_those_of_the_code(pattern: str, lengths: tuple[int, ...]) -> None:
    (shown_tokens,) = literals(SUBSECTIONS[pattern])
    known = next(known for known in PATTERNS.values() if known.name == pattern)
    arrows = ("->", "<-")
    wanted = [f"{arrows[turn % 2]} {', '.join(tokens)}" for turn, tokens in enumerate(known.messages)]
    assert shown_tokens == wanted
    table = rows(SUBSECTIONS[pattern])
    assert [(int(cells[0]), int(cells[1])) for cells in table] == list(enumerate(lengths, 1))
    assert [whole(cells[2]) for cells in table] == list(lengths)


def test_sizes_of_records_are_those_of_the_code() -> None:
    around = proto.DATA_HEADER_BYTES + proto.TAG_BYTES
    good, poor = VoiceControl().level.rung, VoiceLevel(ladder(Profile.NORMAL)[0], ())
    payloads = [good.sound_bytes(copies) + proto.SLACK_BYTES for copies in (1, 2, 3)]
    payloads += [poor.payload_bytes(1), poor.payload_bytes(0)]
    voice = [proto.FRAME_HEADER_BYTES + payload for payload in payloads]
    picture = [proto.FRAME_HEADER_BYTES + size for size in media.VIDEO_PAYLOAD_BYTES]
    wanted = [(bytes_, bytes_ + around) for bytes_ in (proto.RECORD_BYTES, *voice, *picture)]
    assert [(int(cells[1]), int(cells[2])) for cells in rows(SUBSECTIONS["Sizes"])] == wanted
    assert f"at most {proto.CONTROL_BODY_BYTES}" in running("Message")
    longest = packets.pack_feedback(packets.Nack(0, tuple(range(media.MAX_NACK_INDEXES))))
    assert f"n, at most {media.MAX_NACK_INDEXES}, of 0" in running("Nack")
    assert f"at most {len(longest)} bytes" in running("FEEDBACK")


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
    pong = far.frames_due(4.0)[0]
    clocks = [2 * proto.CLOCK_HZ, 4 * proto.CLOCK_HZ, proto.CLOCK_HZ]
    assert (values("Pong", pong), len(pong)) == ([2, *clocks], size("Pong"))


def test_media_payloads_are_laid_out_as_described() -> None:
    audio = packets.pack_audio(packets.AudioPacket(7, 160, (packets.AudioCopy(0, b"xbc"),)))
    assert values("Audio packet", audio) == [7, 160, 1]
    assert values("Audio frame", audio[size("Audio packet") :]) == [0, 3]
    fragment = packets.pack_fragment(packets.VideoFragment(5, 99, 1, 2, True, b"x"))
    assert values("Video fragment", fragment) == [5, 99, 1, 2, media.FLAG_KEY]
    nack = packets.pack_feedback(packets.Nack(5, ()))
    assert (values("Nack", nack), len(nack)) == ([media.FEEDBACK_NACK, 5, 0], size("Nack"))
    assert packets.pack_feedback(packets.KeyRequest()) == bytes([2])
    assert size("Key frame request") == 1
    played = packets.pack_feedback(packets.Played(9, 20.0))
    assert (values("Played", played), len(played)) == ([media.FEEDBACK_PLAYED, 9, 20], size("Played"))
    assert packets.pack_feedback(packets.Ask()) == bytes([media.FEEDBACK_ASK])
    assert size("Ask") == 1
    report = packets.pack_feedback(packets.Report(1, 2, 1.0, 3.0, 5.0, 3.0, 4, 5, 6))
    assert values("Report", report) == [media.FEEDBACK_REPORT, 1, 2, 0xFFFF, 3, 5, 30, 4, 5, 6]
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
    assert column_table(SUBSECTIONS["Acts"], "Value") == names(messages.RecordAct)
    assert column_table(SUBSECTIONS["Flags"], "Bit") == names(messages.MediaFlags)
    sent = {value: name for value, name in names(messages.Reason).items() if value < messages.Reason.LOST}
    assert column_table(SUBSECTIONS["Reasons"], "Value") == sent
    assert column_table(SUBSECTIONS["Suites"], "Bit") == {
        int(suite): cipher.name for suite, cipher in CIPHERS.items()
    }
    assert column_table(PROTOCOL["HANDSHAKE"], "Pattern") == {
        int(number): protocol_name(pattern, noise.AESGCM) for number, pattern in PATTERNS.items()
    }


def test_the_call_table_is_that_of_the_code() -> None:
    table, _ = literals(PROTOCOL["CALLS"])
    assert table == calls.call_diagram().splitlines()


def test_the_table_of_phases_is_that_of_the_code() -> None:
    (table,) = literals(SUBSECTIONS["Phases"])
    assert table == phase.phase_diagram().splitlines()


def test_word_lists_are_those_of_the_code() -> None:
    for title, wanted in (("Even", sas.EVEN), ("Odd", sas.ODD)):
        (lines,) = literals(SUBSECTIONS[title])
        assert tuple(" ".join(lines).split()) == wanted


def test_numbers_of_other_rooms_are_those_of_the_code() -> None:
    sound = " ".join(PROTOCOL["AUDIO"])
    assert f"{media.VOICE_BPS:,} bit/s" in sound
    assert f"{video.MAX_WIDTH} by {video.MAX_HEIGHT}" in " ".join(PROTOCOL["VIDEO"])
    found = " ".join(PROTOCOL["DISCOVERY"])
    assert lanpeer.SERVICE_TYPE.removesuffix(".") in found
    assert [f".Li {key}={value} " in f"{found} " for key, value in discovery.TXT.items()] == [True]
    assert f"port is {DEFAULT_PORT}" in found
    assert FINGERPRINT_LABEL.decode() in running("Fingerprint")


def test_labels_are_those_of_the_code() -> None:
    text = " ".join(line for lines in PROTOCOL.values() for line in lines)
    for name in ("PROLOGUE", "INITIATOR", "RESPONDER", "SAS", "CONTACT", "REKEY", "PRESENCE", "ROTATION"):
        label: bytes = getattr(proto, f"{name}_LABEL")
        assert rf"\(dq{label.decode()}\(dq |" in text, name
    assert rf"\(dq{proto.SAFETY_LABEL.decode()}\(dq" in running("Safety number")


# ---- p2pcall-protocol(7): constants

LOCAL = (
    *("MAX_FPS", "JITTER_", "STATS_", "STEER_", "COPY_", "STRETCH_", "NOISE_", "FADE_", "QUIET_"),
    *("VIDEO_RATE_", "VIDEO_MIN_BPS", "VIDEO_MAX_BPS"),
    *("LEVEL_", "DB_", "LOWEST_", "METER_", "SILENT_", "LOUDEST_", "CLIP", "TALK_"),
    *("COLOUR_", "PLAYOUT_", "FAR_", "ECHO_", "COUPLING_", "DUCK_", "THROUGH_", "GATE_"),
    *("NOISY_", "FAINT_", "VOICE_KNOWN_", "VOICE_FORGET_"),
)
"""Beginnings of media constants that no other implementation needs to know."""


def shown(value: object) -> str:
    """A constant as the page writes it."""
    match value:
        case bytes():
            return value.decode()
        case tuple():
            return (" / " if value and isinstance(value[0], tuple) else ", ").join(map(shown, value))
        case int() if value >= 1 << 24 and not value & (value - 1):
            return f"2^{value.bit_length() - 1}"
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
    [
        ("Of the line", constants(proto)),
        ("Of the media", constants(media, LOCAL)),
        ("Of first contact", constants(pairing)),
    ],
)
def test_constants_are_those_of_the_code(title: str, wanted: Mapping[str, str]) -> None:
    documented = {cells[0]: cells[1] for cells in rows(SUBSECTIONS[title])}
    assert documented == wanted


def test_constants_that_the_text_names_are_in_a_table() -> None:
    listed = {*constants(proto), *constants(media, LOCAL), *constants(pairing)}
    named = {word for lines in PROTOCOL.values() for line in lines for word in marked([line], "Dv")}
    assert {word for word in named if word.isupper()} <= listed
