"""Pictures from fragments, step by step; long runs over bad networks are in tests/sim."""

import pytest

from p2pcall.media import constants as c
from p2pcall.media.packets import KeyRequest, Nack, VideoFragment, parse_feedback
from p2pcall.media.reassembly import CompleteFrame, FragmentStore, Reassembler


def fragment(frame_id: int, index: int = 0, count: int = 1, key: bool = False) -> VideoFragment:
    return VideoFragment(frame_id, frame_id * 66, index, count, key, b"%d.%d " % (frame_id, index))


def started() -> Reassembler:
    receiver = Reassembler()
    assert [f.frame_id for f in receiver.insert(fragment(0, key=True), 0.0)] == [0]
    return receiver


def ids(frames: list[CompleteFrame]) -> list[int]:
    return [frame.frame_id for frame in frames]


def asked(receiver: Reassembler, now: float) -> list[object]:
    return [parse_feedback(payload) for payload in receiver.poll(now)]


def test_fragments_in_any_order() -> None:
    receiver = Reassembler()
    assert receiver.insert(fragment(0, 2, 3, True), 0.0) == []
    assert receiver.insert(fragment(0, 0, 3, True), 0.001) == []
    assert receiver.insert(fragment(0, 1, 3, True), 0.002) == [CompleteFrame(0, 0, True, b"0.0 0.1 0.2 ")]
    assert receiver.held == (0, 0)
    assert receiver.next_poll() is None


def test_a_picture_waits_for_the_one_before_it() -> None:
    receiver = started()
    assert receiver.insert(fragment(2), 0.1) == []
    assert receiver.insert(fragment(3), 0.1) == []
    assert receiver.next_poll() == pytest.approx(0.1 + c.VIDEO_REORDER_S)
    assert ids(receiver.insert(fragment(1), 0.11)) == [1, 2, 3]


def test_a_key_frame_does_not_wait() -> None:
    receiver = started()
    receiver.insert(fragment(1, 0, 2), 0.1)
    receiver.insert(fragment(2), 0.1)
    assert ids(receiver.insert(fragment(3, key=True), 0.15)) == [3]
    assert receiver.held == (0, 0)


def test_what_cannot_be_used_is_rejected() -> None:
    receiver = started()
    receiver.insert(fragment(1, 0, 2), 0.1)
    for bad in (
        fragment(0, key=True),  # old
        fragment(1, 0, 2),  # doubled
        fragment(1, 1, 3),  # another count
        fragment(1, 1, 2, True),  # another kind
        VideoFragment(1, 99, 1, 2, False, b"x"),  # another time
        fragment(c.VIDEO_MAX_JUMP + 2, key=True),  # no picture of this call
    ):
        assert receiver.insert(bad, 0.1) == []
    assert receiver.rejected == 6
    assert ids(receiver.insert(fragment(1, 1, 2), 0.1)) == [1]


def test_missing_fragments_are_asked_for_four_times() -> None:
    receiver = started()
    receiver.rtt_s = 0.02
    receiver.insert(fragment(1, 0, 4), 1.0)
    receiver.insert(fragment(1, 2, 4), 1.001)
    assert receiver.next_poll() == pytest.approx(1.021)
    assert asked(receiver, 1.02) == []
    times = []
    while len(times) < c.VIDEO_MAX_NACKS:
        now = receiver.next_poll()
        assert now is not None
        assert asked(receiver, now) == [Nack(1, (1, 3))]
        times.append(now)
    assert times == pytest.approx([1.021, 1.061, 1.101, 1.141])
    assert receiver.next_poll() == pytest.approx(1.3), "then it is given up"
    assert asked(receiver, 1.3) == [KeyRequest()]


def test_slow_fragments_are_given_more_time() -> None:
    receiver = started()
    receiver.insert(fragment(1, 0, 4), 1.0)
    receiver.insert(fragment(1, 1, 4), 1.03)
    assert receiver.next_poll() == pytest.approx(1.075)
    receiver.insert(fragment(1, 2, 4), 1.13)
    assert receiver.next_poll() == pytest.approx(1.23)


def test_a_long_path_is_given_more_time() -> None:
    receiver = started()
    receiver.rtt_s = 0.2
    receiver.insert(fragment(1, 0, 2), 1.0)
    assert asked(receiver, 1.02) == [Nack(1, (1,))]
    assert receiver.next_poll() == pytest.approx(1.27)
    assert asked(receiver, 1.27) == [Nack(1, (1,))]
    assert asked(receiver, 1.79) == [Nack(1, (1,))]
    assert asked(receiver, 1.81) == [KeyRequest()]
    receiver.rtt_s = 5.0
    assert receiver.next_poll() == pytest.approx(1.81 + 0.4)


def test_a_picture_missing_altogether_is_asked_for_whole() -> None:
    receiver = started()
    receiver.insert(fragment(2), 0.1)
    assert asked(receiver, 0.119) == []
    assert asked(receiver, 0.121) == [Nack(1, ())]
    receiver.insert(fragment(1, 1, 2), 0.14)
    assert ids(receiver.insert(fragment(1, 0, 2), 0.14)) == [1, 2]


def test_a_big_picture_is_asked_for_in_pieces() -> None:
    receiver = started()
    receiver.insert(fragment(1, 0, 300), 0.1)
    messages = asked(receiver, 0.2)
    assert [len(m.indexes) for m in messages if isinstance(m, Nack)] == [*[51] * 5, 44]


def test_a_broken_chain_asks_for_a_key_frame_until_it_comes() -> None:
    receiver = started()
    receiver.rtt_s = 0.02
    receiver.insert(fragment(20), 1.0)
    assert receiver.held == (0, 0)
    assert asked(receiver, 1.0) == [KeyRequest()]
    assert asked(receiver, 1.2) == []
    assert receiver.insert(fragment(21), 1.2) == []
    assert asked(receiver, 1.25) == [KeyRequest()]
    receiver.insert(fragment(25, 0, 2, True), 1.3)
    receiver.insert(fragment(26), 1.31)
    assert asked(receiver, 1.55) == [Nack(25, (1,))], "a key frame on its way is mended"
    assert ids(receiver.insert(fragment(25, 1, 2, True), 1.56)) == [25, 26]
    assert receiver.next_poll() is None


def test_a_key_frame_that_does_not_come_whole_is_asked_for_again() -> None:
    receiver = Reassembler()
    receiver.insert(fragment(0, 0, 2, True), 0.0)
    receiver.insert(fragment(1), 0.05)
    assert asked(receiver, 0.41) == [KeyRequest()]
    assert receiver.held == (0, 0)


def test_the_beginning_of_the_call_was_missed() -> None:
    receiver = Reassembler()
    assert receiver.insert(fragment(500), 1.0) == []
    assert receiver.next_poll() == pytest.approx(1.0 + c.VIDEO_REORDER_S)
    receiver.insert(fragment(501), 1.01)
    assert asked(receiver, 1.02) == [KeyRequest()]
    assert ids(receiver.insert(fragment(502, key=True), 1.1)) == [502]


def test_after_a_gap_a_held_key_frame_goes_on() -> None:
    receiver = started()
    receiver.insert(fragment(1, 0, 2), 0.0)
    receiver.insert(fragment(2, 0, 2, True), 0.25)
    receiver.poll(0.41)
    assert receiver.held[0] == 1
    assert ids(receiver.insert(fragment(2, 1, 2, True), 0.42)) == [2]


def test_a_far_key_frame_needs_nothing_before_it() -> None:
    receiver = started()
    receiver.insert(fragment(50, 0, 2, True), 0.1)
    assert receiver.held[0] == 1
    assert ids(receiver.insert(fragment(50, 1, 2, True), 0.1)) == [50]


def test_a_picture_far_behind_a_held_key_frame_breaks_the_chain() -> None:
    receiver = Reassembler()
    receiver.insert(fragment(0, 0, 2, True), 0.0)
    assert receiver.insert(fragment(40), 0.1) == []
    assert receiver.held == (0, 0)
    assert asked(receiver, 0.1) == [KeyRequest()]


def test_the_decoder_may_ask() -> None:
    receiver = started()
    receiver.request_key(0.5)
    assert asked(receiver, 0.5) == [KeyRequest()]
    receiver.request_key(0.6)
    assert asked(receiver, 0.6) == []
    assert receiver.insert(fragment(1), 0.6) == []
    assert ids(receiver.insert(fragment(2, key=True), 0.6)) == [2]
    receiver.insert(fragment(3, 0, 2, True), 0.7)
    receiver.request_key(0.7)
    assert ids(receiver.insert(fragment(3, 1, 2, True), 0.71)) == [3], "one that is coming is kept"


def test_incomplete_pictures_are_bounded() -> None:
    receiver = started()
    for frame_id in range(1, c.VIDEO_MAX_PARTIAL + 1):
        receiver.insert(fragment(frame_id, 0, 2), 0.1)
    assert receiver.held[0] == c.VIDEO_MAX_PARTIAL
    receiver.insert(fragment(c.VIDEO_MAX_PARTIAL + 1, 0, 2), 0.1)
    assert receiver.held == (0, 0)
    assert asked(receiver, 0.1) == [KeyRequest()]


def test_bytes_are_bounded() -> None:
    receiver = started()
    data = bytes(c.VIDEO_FRAGMENT_BYTES)
    for index in range(c.MAX_FRAGMENTS - 1):
        receiver.insert(VideoFragment(1, 0, index, c.MAX_FRAGMENTS, False, data), 0.1)
        assert receiver.held[1] <= c.VIDEO_MAX_HELD_BYTES


def test_pictures_that_wait_are_bounded() -> None:
    receiver = started()
    for frame_id in range(2, c.VIDEO_MAX_HELD + 3):
        receiver.insert(fragment(frame_id), 0.1)
    assert receiver.held == (0, 0)


def test_the_store_gives_what_was_sent() -> None:
    store = FragmentStore()
    store.add(1, [b"a", b"b", b"c"], 0.0)
    assert store.get(1, (2, 0), 0.1) == [b"c", b"a"]
    assert store.get(1, (), 0.1) == [b"a", b"b", b"c"]
    assert store.get(1, (3, 511), 0.1) == []
    assert store.get(2, (), 0.1) == []
    with pytest.raises(ValueError):
        store.add(1, [b"a"], 0.1)


def test_the_store_does_not_amplify() -> None:
    store = FragmentStore()
    store.add(1, [b"a"], 0.0)
    sent = [payload for _ in range(100) for payload in store.get(1, (0,) * 255, 0.1)]
    assert len(sent) == c.STORE_RESENDS


def test_the_store_forgets() -> None:
    store = FragmentStore()
    store.add(1, [b"a"] * 3, 0.0)
    assert store.get(1, (0,), 1.01) == []
    assert len(store) == 0
    store.add(2, [b"a"] * 300, 2.0)
    store.add(3, [b"b"] * 300, 2.1)
    assert len(store) == 300
    assert store.get(2, (0,), 2.1) == []
    assert store.get(3, (0,), 2.1) == [b"b"]
