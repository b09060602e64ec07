"""Hypothesis over what is inside: frames and names, the replay window as a set, an endpoint, the table's end."""

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from p2pcall.proto import constants as c
from p2pcall.proto import wire
from p2pcall.proto.admission import cookie
from p2pcall.proto.call.table import CALL_TABLE, CallInput, CallState, remote
from p2pcall.proto.endpoint import Endpoint, StaticKey
from p2pcall.proto.line.replay import ReplayWindow
from p2pcall.proto.messages import pack_greeting, parse_greeting
from p2pcall.proto.wire import DropReason

STATIC = StaticKey.from_private(bytes(range(32)))


@given(st.lists(st.tuples(st.integers(1, 255), st.binary(max_size=80)), max_size=12), st.integers(0, 9))
def test_frames_are_read_as_written(frames: list[tuple[int, bytes]], padding: int) -> None:
    plaintext = b"".join(wire.pack_frame(channel, payload) for channel, payload in frames)
    assert wire.parse_frames(plaintext + bytes(padding)) == frames


@given(st.binary(max_size=300))
def test_frames_are_never_longer_than_the_record(plaintext: bytes) -> None:
    frames = wire.parse_frames(plaintext)
    if not isinstance(frames, DropReason):
        assert sum(len(payload) + c.FRAME_HEADER_BYTES for _, payload in frames) <= len(plaintext)
        assert all(channel for channel, _ in frames)


@given(st.text(max_size=16), st.booleans(), st.booleans())
def test_greeting_is_read_as_written(name: str, audio: bool, video: bool) -> None:
    try:
        body = pack_greeting(name, audio, video)
    except ValueError:
        return
    greeting = parse_greeting(body)
    assert greeting is not None
    assert (greeting.name, greeting.audio, greeting.video) == (name, audio, video)


@given(st.lists(st.integers(0, 3 * c.REPLAY_WINDOW) | st.integers(0, 300) | st.integers(0, 2**64 - 1)))
def test_replay_window_is_the_set_of_counters_seen(counters: list[int]) -> None:
    window = ReplayWindow()
    seen: set[int] = set()
    for counter in counters:
        newest = max(seen, default=-1)
        fresh = counter not in seen and counter > newest - c.REPLAY_WINDOW
        assert window.is_fresh(counter) == fresh
        if fresh:
            window.mark(counter)
            seen.add(counter)


LENGTHS = [c.KNOCK_BYTES, c.COOKIE_BYTES, *wire.PART_BYTES.values(), *wire.RESPONSE_BYTES.values()]
CONTACT = StaticKey.from_private(bytes(range(1, 33)))
PAIR = cookie.Mac(cookie.pair_key(CONTACT, STATIC.public, initiator=True))


@st.composite
def nearly_handshake_datagrams(draw: st.DrawFn) -> bytes:
    """Of the right type, version and length, and often with the tag of a contact: the rest is anything."""
    kind = draw(st.integers(0, 7))
    body = draw(st.binary(max_size=60))
    length = draw(st.sampled_from(LENGTHS))
    data = (bytes([kind, c.PROTOCOL_VERSION]) + body).ljust(length, draw(st.sampled_from([b"\0", b"?"])))[
        :length
    ]
    return data[: -c.MAC_BYTES] + PAIR(data[: -c.MAC_BYTES]) if draw(st.booleans()) else data


@given(st.lists(st.binary(max_size=1300) | nearly_handshake_datagrams(), max_size=20), st.booleans())
def test_endpoint_never_raises_and_never_says_more_than_it_hears(data: list[bytes], contacts: bool) -> None:
    endpoint = Endpoint(STATIC, Random(1).randbytes)
    endpoint.reach = "contacts" if contacts else "anyone"
    endpoint.contacts([CONTACT.public])
    for number, datagram in enumerate(data):
        endpoint.receive_datagram(datagram, ("stranger", number), float(number))
        answers = endpoint.datagrams_to_send(float(number))
        known = len(datagram) == c.KNOCK_BYTES and PAIR.fits(
            datagram[: -c.MAC_BYTES], datagram[-c.MAC_BYTES :]
        )
        assert sum(len(answer) for answer, _ in answers) <= (0 if contacts and not known else len(datagram))
        assert endpoint.next_event() is None


@given(st.lists(st.sampled_from([cause for cause in CallInput if cause.startswith("r-")]), max_size=30))
def test_remote_side_alone_never_makes_a_call_active_that_was_not_dialled(causes: list[CallInput]) -> None:
    state = CallState.IDLE
    for cause in causes:
        transition = remote(state, cause)
        state = transition.next if transition else state
        assert state in (CallState.IDLE, CallState.INCOMING, CallState.ENDED)


@given(st.lists(st.sampled_from([cause for cause in CallInput if cause.startswith("r-")]), max_size=30))
def test_remote_side_alone_makes_an_answered_call_active_only_by_its_nonce(causes: list[CallInput]) -> None:
    state = CallState.ANSWERED
    for cause in causes:
        transition = remote(state, cause)
        before, state = state, transition.next if transition else state
        assert state in (CallState.ANSWERED, CallState.ACTIVE, CallState.ENDED)
        assert before is state or state is not CallState.ACTIVE or cause is CallInput.R_REVEAL


def test_end_is_final() -> None:
    assert {transition.next for (state, _), transition in CALL_TABLE.items() if state is CallState.ENDED} == {
        CallState.ENDED
    }
