"""Hypothesis over bytes: parsers never raise and lose nothing, the replay window is a set, the table is closed."""

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from p2pcall.proto import constants as c
from p2pcall.proto import wire
from p2pcall.proto.calling import TABLE, Input, State, remote
from p2pcall.proto.control import Control
from p2pcall.proto.endpoint import Endpoint, StaticKey
from p2pcall.proto.messages import Reason, pack_greeting, parse_greeting, parse_reason, parse_ringing
from p2pcall.proto.replay import ReplayWindow
from p2pcall.proto.timing import Timing
from p2pcall.proto.wire import DropReason

STATIC = StaticKey.from_private(bytes(range(32)))


@given(st.binary(max_size=200))
def test_parsers_never_raise(data: bytes) -> None:
    wire.parse_initiation(data)
    wire.parse_response(data)
    wire.parse_confirmation(data)
    wire.parse_frames(data)
    parse_greeting(data)
    parse_ringing(data)
    parse_reason(data, Reason.HUNG_UP)
    Control().receive(data)
    Timing(0.0).receive(data, 1.0)


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


@given(st.lists(st.binary(max_size=1300), max_size=20), st.booleans())
def test_endpoint_never_raises_and_never_says_more_than_it_hears(data: list[bytes], typed: bool) -> None:
    endpoint = Endpoint(STATIC, Random(1).randbytes)
    for number, datagram in enumerate(data):
        if typed:
            datagram = b"\1\1\3\0" + datagram[: c.INITIATION_BYTES - 4].ljust(c.INITIATION_BYTES - 4, b"?")
        endpoint.receive_datagram(datagram, ("stranger", number), float(number))
        answers = endpoint.datagrams_to_send(float(number))
        assert sum(len(answer) for answer, _ in answers) <= len(datagram)
        assert endpoint.next_event() is None


@given(st.lists(st.sampled_from([cause for cause in Input if cause.startswith("r-")]), max_size=30))
def test_remote_side_alone_never_makes_a_call_active_that_was_not_dialled(causes: list[Input]) -> None:
    state = State.IDLE
    for cause in causes:
        transition = remote(state, cause)
        state = transition.next if transition else state
        assert state in (State.IDLE, State.INCOMING, State.ENDED)


def test_end_is_final() -> None:
    assert {transition.next for (state, _), transition in TABLE.items() if state is State.ENDED} == {
        State.ENDED
    }
