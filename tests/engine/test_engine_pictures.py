"""The two picture threads by themselves: what is filmed, what is shown, and what a bug in one of them does."""

import asyncio
import threading
from collections.abc import Callable

import av
import numpy as np
import pytest

from p2pcall.codec.video import key_frame_size
from p2pcall.engine.offload import offload
from p2pcall.engine.user_agent import Interrupts
from p2pcall.engine.video import MAX_QUEUED_FRAMES, CaptureThread, PlayoutThread
from p2pcall.errors import ExitCode, P2PCallError

GONE = P2PCallError("device-gone", "the camera went away", ExitCode.DEVICE)


class Pictures:
    """A video source that gives what is put into it."""

    size = (64, 48)

    def __init__(self, count: int) -> None:
        self.left, self.closed, self.gate = count, threading.Event(), threading.Semaphore(0)

    def read(self) -> av.VideoFrame | None:
        self.gate.acquire()
        if self.left == 0 or self.closed.is_set():
            return None
        self.left -= 1
        picture = np.full((48, 64, 3), 40 * self.left % 255, dtype=np.uint8)
        return av.VideoFrame.from_ndarray(picture, format="rgb24")

    def close(self) -> None:
        self.closed.set()
        self.gate.release()


class Posts:
    """Stands in for `call_soon_threadsafe`: runs at once, remembers, wakes whoever waits."""

    def __init__(self) -> None:
        self.calls: list[tuple[Callable[..., object], tuple[object, ...]]] = []
        self._changed = threading.Condition()

    def __call__(self, call: Callable[..., object], *args: object) -> None:
        with self._changed:
            self.calls.append((call, args))
            self._changed.notify_all()
        call(*args)

    def wait(self, count: int) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.calls) >= count, timeout=10)


def test_no_picture_is_encoded_before_the_other_side_says_what_it_can_show() -> None:
    pictures, posts, seen = Pictures(3), Posts(), list[tuple[bytes, bool]]()
    shown = threading.Semaphore(0)
    capture = CaptureThread(lambda: pictures, posts, lambda: 0.0, lambda frame: shown.release())
    capture.on_encoded = lambda data, key, at: seen.append((data, key))
    capture.on_end = lambda: None
    capture.start()
    pictures.gate.release()
    shown.acquire()
    assert not seen
    capture.set_view(32, 24)
    pictures.gate.release()
    posts.wait(1)
    assert seen[0][1]
    capture.stop(wait=True)
    assert pictures.closed.is_set()
    assert not capture.running


def test_who_comes_late_or_lost_it_gets_the_picture_that_stays() -> None:
    """One picture is read, and no other follows: a slide, a page, a camera that stands still."""
    pictures, posts, seen = Pictures(1), Posts(), list[tuple[int, bool]]()
    capture = CaptureThread(lambda: pictures, posts, lambda: 0.0, None)

    def take(data: bytes, key: bool, at: float) -> None:
        seen.append(((key_frame_size(data) or (0, 0))[0], key))
        capture.sent()

    capture.on_encoded = take
    capture.start()
    pictures.gate.release()
    capture.set_view(32, 24)
    posts.wait(1)
    capture.set_view(64, 48)
    posts.wait(2)
    capture.want_key()
    posts.wait(3)
    posts.wait(4)  # and once more after a while, for it may have been lost unseen
    capture.stop(wait=True)
    assert seen[:4] == [(32, True), (64, True), (64, True), (0, False)]


def test_a_picture_that_finds_the_way_out_taken_is_not_encoded() -> None:
    pictures, posts = Pictures(4), Posts()
    shown = threading.Semaphore(0)
    capture = CaptureThread(lambda: pictures, posts, lambda: 0.0, lambda frame: shown.release())
    capture.on_encoded = lambda data, key, at: None  # never says `sent`
    ended = threading.Event()
    capture.on_end = ended.set
    capture.set_view(64, 48)
    capture.start()
    pictures.gate.release()
    posts.wait(1)
    for _ in range(4):
        pictures.gate.release()
    assert ended.wait(10)
    capture.stop(wait=True)
    assert sum(1 for call, _ in posts.calls if call is capture.on_encoded) == 1


def test_who_takes_a_picture_off_the_slot_wakes_the_coder_only_if_another_one_waits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pictures, posts, woken, awaited = Pictures(4), Posts(), list[int](), threading.Event()
    capture = CaptureThread(lambda: pictures, posts, lambda: 0.0, None)
    capture.on_encoded, capture.on_end = lambda data, key, at: None, lambda: None
    changed, me = capture._changed, threading.get_ident()
    notify, wait = changed.notify_all, changed.wait

    def notified() -> None:
        woken.append(threading.get_ident())
        notify()

    def waiting(seconds: float | None = None) -> bool:
        if capture._slot_awaited:
            awaited.set()
        return wait(seconds)

    monkeypatch.setattr(changed, "notify_all", notified)
    monkeypatch.setattr(changed, "wait", waiting)
    capture.set_view(64, 48)
    assert woken.count(me) == 1
    capture.start()
    pictures.gate.release()
    posts.wait(1)
    capture.sent()
    assert woken.count(me) == 1
    pictures.gate.release()
    posts.wait(2)
    pictures.gate.release()
    assert awaited.wait(10)
    capture.sent()
    assert woken.count(me) == 2
    posts.wait(3)
    capture.stop(wait=True)


def test_a_camera_that_cannot_be_opened_is_told() -> None:
    def fail() -> Pictures:
        raise GONE

    posts, told = Posts(), list[P2PCallError]()
    capture = CaptureThread(fail, posts, lambda: 0.0, None)
    capture.on_error = told.append
    capture.start()
    posts.wait(1)
    capture.stop(wait=True)
    assert told == [GONE]


class Wall:
    """A picture sink that can be made to hang."""

    def __init__(self) -> None:
        self.frames = 0
        self.on_error: None = None
        self.free = threading.Event()
        self.busy = threading.Event()

    def show(self, frame: av.VideoFrame) -> None:
        self.frames += 1
        self.busy.set()
        self.free.wait(10)

    def view_size(self) -> tuple[int, int]:
        return (64, 48)

    def close(self) -> None:
        pass


def _coded(count: int) -> list[tuple[bytes, bool]]:
    posts = Posts()
    pictures, out = Pictures(count), list[tuple[bytes, bool]]()
    capture = CaptureThread(lambda: pictures, posts, lambda: 0.0, None)

    def take(data: bytes, key: bool, at: float) -> None:
        out.append((data, key))
        capture.sent()

    capture.on_encoded = take
    ended = threading.Event()
    capture.on_end = ended.set
    capture.set_view(64, 48)
    capture.start()
    for n in range(count):
        pictures.gate.release()
        posts.wait(n + 1)
    pictures.gate.release()
    assert ended.wait(10)
    capture.stop(wait=True)
    return out[:count]


def test_every_picture_is_decoded_and_only_the_newest_shown() -> None:
    coded, wall, posts = _coded(6), Wall(), Posts()
    assert len(coded) == 6
    playout = PlayoutThread(wall, posts)
    playout.start()
    playout.submit(*coded[0])
    assert wall.busy.wait(10)
    for frame in coded[1:]:
        playout.submit(*frame)
    wall.busy.clear()
    wall.free.set()
    assert wall.busy.wait(10)
    playout.stop()
    assert playout.decoded == 6
    assert wall.frames == 2


def test_a_view_that_hangs_costs_a_bounded_queue_and_a_key_frame() -> None:
    coded, wall, posts, broken = _coded(1), Wall(), Posts(), list[int]()
    playout = PlayoutThread(wall, posts)
    playout.on_broken = lambda: broken.append(1)
    playout.start()
    playout.submit(*coded[0])
    assert wall.busy.wait(10)
    for _ in range(MAX_QUEUED_FRAMES + 1):
        playout.submit(b"delta", False)
    assert broken == [1]
    wall.free.set()
    playout.stop()


def test_rubbish_instead_of_a_picture_asks_for_a_key_frame() -> None:
    wall, posts, broken = Wall(), Posts(), list[int]()
    playout = PlayoutThread(wall, posts)
    playout.on_broken = lambda: broken.append(1)
    playout.start()
    playout.submit(b"\xff" * 50, True)
    posts.wait(1)
    playout.stop()
    assert broken == [1]
    assert wall.frames == 0


def filming_that_fails() -> Callable[[], None]:
    def fail() -> Pictures:
        raise ZeroDivisionError

    capture = CaptureThread(fail, Posts(), lambda: 0.0, None)
    capture.start()
    return lambda: capture.stop(wait=True)


def showing_that_fails() -> Callable[[], None]:
    class Broken(Wall):
        def show(self, frame: av.VideoFrame) -> None:
            raise ZeroDivisionError

    playout = PlayoutThread(Broken(), Posts())
    playout.start()
    playout.submit(*_coded(1)[0])
    return playout.stop


@pytest.mark.parametrize("fails", [filming_that_fails, showing_that_fails])
def test_a_bug_in_a_thread_of_the_picture_ends_what_is_up(fails: Callable[[], Callable[[], None]]) -> None:
    async def scene() -> None:
        interrupts, told = Interrupts(), asyncio.Queue[str]()
        interrupts.take = told.put_nowait
        before = threading.excepthook
        interrupts.install()
        stop = await offload(fails)
        assert await told.get() == "failed"
        assert isinstance(interrupts.crash, ZeroDivisionError)
        await offload(stop)
        interrupts.remove()
        assert threading.excepthook is before

    asyncio.run(scene())
