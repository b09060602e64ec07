"""Any order of any inputs: the buffers never raise, stay bounded, and give out in order."""

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from p2pcall.media import constants as c
from p2pcall.media.jitter import Conceal, JitterBuffer, Lengthen, Play, Shorten, Silence
from p2pcall.media.ladder import encode_size, video_bitrate
from p2pcall.media.packets import Nack, VideoFragment, parse_feedback
from p2pcall.media.reassembly import FragmentStore, Reassembler
from p2pcall.media.stats import ReceiveStats
from p2pcall.media.stretch import lengthen, shorten

steps = st.lists(
    st.tuples(
        st.sampled_from([0.0, 0.001, 0.02, 0.1, 2.0]),
        st.one_of(st.integers(0, 60), st.integers(0, c.MAX_U32)),
        st.booleans(),
        st.integers(0, 3),
    ),
    max_size=120,
)


@given(steps)
def test_jitter_buffer(inputs: list[tuple[float, int, bool, int]]) -> None:
    buffer = JitterBuffer()
    now = 0.0
    given = 0
    for wait, tick, recovered, pulls in inputs:
        now += wait
        lengths = (1, 2, 4, 6)
        ticks = lengths[tick % 4]
        buffer.insert(tick, ticks, bytes([ticks]), tick, now, recovered)
        for _ in range(pulls):
            now += c.FRAME_S
            ready, wanted = 0, (1 + given % 2) * c.TICK_SAMPLES
            while ready < wanted:
                before = buffer.next_tick
                match buffer.pull(now, ready, wanted, quiet=given % 3 == 0):
                    case Play(frame) | Lengthen(frame):
                        came = frame[0]
                    case Shorten(frames, _, most):
                        came = sum(map(sum, frames))
                        assert most <= ready + came * c.TICK_SAMPLES - wanted
                    case Conceal(came):
                        assert came > 0
                    case Silence():
                        came = 1
                assert buffer.next_tick >= before
                ready += came * c.TICK_SAMPLES
                given += came
        assert buffer.depth <= c.JITTER_MAX_FRAMES
        assert 0 < buffer.target_s(now) <= c.JITTER_MAX_WAIT_S + c.JITTER_SLACK_S
    counters = buffer.counters
    assert counters.played + counters.concealed + counters.silence == given


@given(steps)
def test_receive_stats(inputs: list[tuple[float, int, bool, int]]) -> None:
    stats = ReceiveStats()
    now = 0.0
    for wait, seq, ask, _ in inputs:
        now += wait
        stats.on_packet(seq, 1 + seq % 6, seq, now)
        if ask:
            told = stats.interval()
            assert 0.0 <= told.loss <= 1.0 and told.queue_s >= 0.0 and told.burst_ticks >= 0.0
        assert stats.jitter_s >= 0.0


fragment_steps = st.lists(
    st.tuples(
        st.sampled_from([0.0, 0.005, 0.1]),
        st.one_of(st.integers(0, 12), st.integers(0, c.MAX_U32)),
        st.integers(0, 2),
        st.booleans(),
    ),
    max_size=80,
)


@given(fragment_steps)
@settings(max_examples=200)
def test_reassembler(inputs: list[tuple[float, int, int, bool]]) -> None:
    receiver = Reassembler()
    now = 0.0
    last = -1
    for wait, frame_id, index, key in inputs:
        now += wait
        for frame in receiver.insert(
            VideoFragment(frame_id, frame_id, index, 3 - index % 2, key, b"ab"), now
        ):
            assert frame.key or frame.frame_id == last + 1
            assert frame.frame_id > last
            last = frame.frame_id
        for payload in receiver.poll(now):
            message = parse_feedback(payload)
            assert message is not None
            if isinstance(message, Nack):
                assert message.frame_id > last
        due = receiver.next_poll()
        assert due is None or due > now
        held, size = receiver.held
        assert held <= c.VIDEO_MAX_HELD and size <= c.VIDEO_MAX_HELD_BYTES
        assert due is not None or held == 0


@given(
    st.lists(st.integers(1, 600), max_size=8),
    st.lists(st.tuples(st.integers(0, 10), st.lists(st.integers(0, 700), max_size=6)), max_size=40),
)
def test_fragment_store(frames: list[int], nacks: list[tuple[int, list[int]]]) -> None:
    store = FragmentStore()
    for frame_id, count in enumerate(frames):
        store.add(frame_id, [b"%d %d" % (frame_id, i) for i in range(count)], frame_id * 0.1)
        assert len(store) <= c.STORE_FRAGMENTS
    resent: dict[bytes, int] = {}
    for frame_id, indexes in nacks:
        for payload in store.get(frame_id, indexes, 1.0):
            assert payload.split()[0] == b"%d" % frame_id
            resent[payload] = resent.get(payload, 0) + 1
    assert all(times <= c.STORE_RESENDS for times in resent.values())


@given(st.integers(1, 8_000), st.integers(1, 8_000), st.integers(0, 2_000), st.integers(0, 2_000))
def test_encode_size(source_w: int, source_h: int, view_w: int, view_h: int) -> None:
    w, h = encode_size(source_w, source_h, view_w, view_h)
    if not view_w or not view_h:
        assert (w, h) == (0, 0)
        return
    assert w % 2 == h % 2 == 0
    least = c.VIDEO_MIN_SIDE
    assert least <= w <= max(least, min(source_w, view_w, c.VIDEO_MAX_WIDTH))
    assert least <= h <= max(least, min(source_h, view_h, c.VIDEO_MAX_HEIGHT))
    if w > least and h > least:
        assert abs(w * source_h - h * source_w) <= 2 * max(source_w, source_h), "aspect kept to two pixels"
    assert c.VIDEO_MIN_BPS <= video_bitrate(w, h, 15) <= c.VIDEO_MAX_BPS


@given(st.randoms(use_true_random=False), st.integers(1, 6), st.integers(0, 800))
@settings(max_examples=60)
def test_any_samples_are_made_shorter_and_longer(rng: Random, ticks: int, most: int) -> None:
    before, pcm = rng.randbytes(c.FRAME_BYTES), rng.randbytes(ticks * c.TICK_BYTES)
    likeness = rng.choice((-1.0, c.JITTER_LIKENESS))
    shorter, removed = shorten(pcm, most, likeness)
    longer, added = lengthen(before, pcm, most, likeness)
    assert len(shorter) == len(pcm) - 2 * removed
    assert len(longer) == len(pcm) + 2 * added
    assert 0 <= removed <= most
    assert 0 <= added <= most
