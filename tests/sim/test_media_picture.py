"""Pictures over a bad network, simulated: coder, fragments, lossy path both ways, nacks and key frame requests; seeded.

The coder here is a model: a picture decodes if it is a key frame or the one before it was decoded. What must hold:
loss is mended by asking again, every outage ends with a key frame soon after it, hostile fragments stay bounded.
"""

import heapq
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

import pytest

from p2pcall.media import constants as c
from p2pcall.media.packets import (
    KeyRequest,
    Nack,
    VideoFragment,
    pack_fragment,
    parse_feedback,
    parse_fragment,
    split_frame,
)
from p2pcall.media.reassembly import FragmentStore, Reassembler

STEP_S = 0.001


@dataclass
class Picture:
    """One direction of pictures and its feedback; time goes in milliseconds."""

    seed: int = 1
    fps: int = 15
    rtt_s: float = 0.02
    jitter_s: float = 0.002
    loss: Callable[[float, Random], bool] = lambda now, rng: False
    key_bytes: int = 18_000
    delta_bytes: int = 6_000
    receiver: Reassembler = field(default_factory=Reassembler)
    store: FragmentStore = field(default_factory=FragmentStore)

    def __post_init__(self) -> None:
        self.rng = Random(self.seed)
        self.now = 0.0
        self.frame_id = 0
        self.next_frame = 0.0
        self.key_wanted = True
        self.forth: list[tuple[float, int, bytes]] = []
        self.back: list[tuple[float, int, bytes]] = []
        self.order = 0
        self.sent_bytes: dict[int, bytes] = {}
        self.shown: list[tuple[float, int]] = []
        self.asked: Counter[type] = Counter()
        """What the receiver has sent, whether it arrives or not."""
        self.resent = 0
        self.keys = 0
        self.receiver.rtt_s = self.rtt_s

    def put(self, queue: list[tuple[float, int, bytes]], payload: bytes) -> None:
        if self.loss(self.now, self.rng):
            return
        self.order += 1
        arrival = self.now + self.rtt_s / 2 + self.rng.uniform(0, self.jitter_s)
        heapq.heappush(queue, (arrival, self.order, payload))

    def code(self) -> None:
        key, self.key_wanted = self.key_wanted, False
        self.keys += key
        size = round((self.key_bytes if key else self.delta_bytes) * self.rng.uniform(0.6, 1.4))
        data = self.rng.randbytes(size)
        self.sent_bytes[self.frame_id] = data
        payloads = [pack_fragment(f) for f in split_frame(self.frame_id, round(self.now * 1000), key, data)]
        self.store.add(self.frame_id, payloads, self.now)
        for payload in payloads:
            self.put(self.forth, payload)
        self.frame_id += 1
        self.next_frame += 1 / self.fps

    def answer(self, payload: bytes) -> None:
        message = parse_feedback(payload)
        if isinstance(message, Nack):
            for again in self.store.get(message.frame_id, message.indexes, self.now):
                self.resent += 1
                self.put(self.forth, again)
        else:
            assert isinstance(message, KeyRequest)
            self.key_wanted = True

    def run(self, seconds: float) -> "Picture":
        end = self.now + seconds
        while self.now < end:
            self.now += STEP_S
            if self.now >= self.next_frame:
                self.code()
            while self.back and self.back[0][0] <= self.now:
                self.answer(heapq.heappop(self.back)[2])
            while self.forth and self.forth[0][0] <= self.now:
                fragment = parse_fragment(heapq.heappop(self.forth)[2])
                assert fragment is not None
                for frame in self.receiver.insert(fragment, self.now):
                    self.show(frame.frame_id, frame.key, frame.data)
            due = self.receiver.next_poll()
            if due is not None and due <= self.now:
                for payload in self.receiver.poll(self.now):
                    self.asked[type(parse_feedback(payload))] += 1
                    self.put(self.back, payload)
                later = self.receiver.next_poll()
                assert later is None or later > self.now, "a poll leaves nothing due"
        return self

    def show(self, frame_id: int, key: bool, data: bytes) -> None:
        assert data == self.sent_bytes[frame_id]
        assert key or (self.shown and self.shown[-1][1] == frame_id - 1), "it can be decoded"
        assert not self.shown or frame_id > self.shown[-1][1]
        self.shown.append((self.now, frame_id))

    def delivered(self, last: int = 0) -> float:
        """The part shown of the last pictures (0: all), but for those that may be on their way still."""
        end = self.frame_id - self.fps
        first = end - last if last else 0
        return sum(first <= frame_id < end for _, frame_id in self.shown) / (end - first)


@pytest.mark.parametrize("seed", range(3))
def test_ten_percent_loss_is_mended(seed: int) -> None:
    picture = Picture(seed, loss=lambda now, rng: rng.random() < 0.10).run(60)
    assert picture.delivered() >= 0.97
    sent = sum(len(data) // c.VIDEO_FRAGMENT_BYTES + 1 for data in picture.sent_bytes.values())
    assert picture.resent < 0.25 * sent
    assert picture.keys <= 15


@pytest.mark.parametrize(
    ("loss", "rtt_s", "least"),
    [(0.0, 0.02, 0.995), (0.02, 0.05, 0.98), (0.05, 0.10, 0.93), (0.10, 0.10, 0.85), (0.20, 0.02, 0.85)],
)
def test_other_paths(loss: float, rtt_s: float, least: float) -> None:
    picture = Picture(5, rtt_s=rtt_s, loss=lambda now, rng: rng.random() < loss).run(60)
    assert picture.delivered() >= least
    if not loss:
        assert (picture.resent, picture.keys) == (0, 1)


def test_a_path_that_reorders_is_not_taken_for_loss() -> None:
    picture = Picture(6, jitter_s=0.015).run(30)
    assert picture.delivered() >= 0.99
    assert picture.resent == 0


@pytest.mark.parametrize(("rtt_s", "loss"), [(0.02, 0.0), (0.02, 0.1), (0.1, 0.05), (0.2, 0.0), (0.5, 0.0)])
@pytest.mark.parametrize("length_s", [0.05, 0.3, 0.7, 2.0, 30.0])
def test_every_outage_ends_within_a_second(rtt_s: float, length_s: float, loss: float) -> None:
    for seed in range(4):
        picture = Picture(seed, rtt_s=rtt_s).run(3.3 + seed * 0.02)
        start = picture.now
        picture.loss = lambda now, rng, start=start: now < start + length_s or rng.random() < loss
        picture.run(length_s)
        over = picture.now
        before = len(picture.shown)
        picture.run(4)
        assert len(picture.shown) > before
        back = picture.shown[before][0] - over
        assert back < 1.0 + max(0.0, rtt_s - 0.1)
        assert picture.delivered(30) > (0.99 if loss == 0.0 else 0.7)


@pytest.mark.parametrize("seed", range(3))
def test_an_outage_of_one_way_only(seed: int) -> None:
    """Requests are lost as well and must be repeated."""
    picture = Picture(seed).run(2)
    picture.loss = lambda now, rng: 2.0 <= now < 3.0
    picture.run(1.5)
    shown_at = [at for at, _ in picture.shown if at > 3.0]
    assert shown_at and shown_at[0] < 3.5


def test_pictures_of_thirty_a_second_over_a_long_path() -> None:
    picture = Picture(7, fps=30, rtt_s=0.15, loss=lambda now, rng: rng.random() < 0.01).run(60)
    assert picture.delivered() >= 0.95


def test_feedback_stops_when_nothing_comes_any_more() -> None:
    """The other camera is off: no request for ever, but for a chain that was broken one each interval at most."""
    picture = Picture(8, loss=lambda now, rng: now > 5).run(5)
    nacks = picture.asked[Nack]
    picture.run(20)
    assert picture.asked[Nack] - nacks <= c.VIDEO_MAX_NACKS * c.VIDEO_MAX_PARTIAL
    assert picture.asked[KeyRequest] <= 20 / c.VIDEO_KEY_INTERVAL_S + 1


@pytest.mark.parametrize("seed", range(6))
def test_hostile_fragments_stay_bounded(seed: int) -> None:
    rng = Random(seed)
    receiver = Reassembler()
    now = 0.0
    near = 0
    for _ in range(4_000):
        now += rng.choice((0.0, 0.0001, 0.01))
        near += rng.choice((0, 0, 0, 1, 1, 3, 9))
        frame_id = rng.choice((near, near, near, max(0, near - 3), near + 40, rng.randrange(1 << 32)))
        count = rng.choice((1, 2, 5, 512))
        size = rng.choice((1, 1_100))
        key = rng.random() < 0.2
        fragment = VideoFragment(frame_id, frame_id, rng.randrange(count), count, key, bytes(size))
        released = receiver.insert(fragment, now)
        assert all(len(frame.data) <= c.MAX_FRAGMENTS * c.VIDEO_FRAGMENT_BYTES for frame in released)
        frames, held_bytes = receiver.held
        assert frames <= c.VIDEO_MAX_HELD
        assert held_bytes <= c.VIDEO_MAX_HELD_BYTES
        assert held_bytes == sum(len(d) for f in receiver._frames.values() for d in f.parts.values())
        partial = sum(not frame.complete for frame in receiver._frames.values())
        assert partial <= c.VIDEO_MAX_PARTIAL
        if rng.random() < 0.2:
            assert len(receiver.poll(now)) <= 3 * c.VIDEO_MAX_PARTIAL + 1
        due = receiver.next_poll()
        assert due is None or due <= now + c.VIDEO_GIVE_UP_MAX_S
        if frames:
            assert due is not None, "whatever is held is let go some time"


def test_after_any_hostile_mess_a_key_frame_starts_the_picture_again() -> None:
    for seed in range(20):
        rng = Random(seed)
        receiver = Reassembler()
        now = 0.0
        for _ in range(200):
            now += 0.001
            count = rng.choice((1, 3))
            receiver.insert(
                VideoFragment(rng.randrange(40), 0, rng.randrange(count), count, rng.random() < 0.3, b"x"),
                now,
            )
            receiver.poll(now)
        (frame,) = receiver.insert(VideoFragment(50, 0, 0, 1, True, b"key"), now)
        assert frame.frame_id == 50
        (frame,) = receiver.insert(VideoFragment(51, 0, 0, 1, False, b"delta"), now)
        assert frame.frame_id == 51
        assert receiver.held == (0, 0)
        assert receiver.next_poll() is None
