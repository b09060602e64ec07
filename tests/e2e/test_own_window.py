"""The other side in a window of its own, on a virtual desktop: what is seen, keys, closing, and what can break.

Alice dials and looks at a window, bob shows the test card and sings one tone. What a person would see is read off the
screen's pixels; that the sound has no gap is read off what alice's speaker wrote.
"""

import os
import signal
import socket
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from desktop import Desktop, processes_of, wait_for
from harness import ends
from ownwindow import (
    A_BOX,
    NIGHTLY,
    OTHER_BOX,
    PICTURE_KBPS,
    box_ground,
    in_a_call,
    shows_card,
    wait_video_size,
    with_a_card,
    without_a_gap,
)
from pairs import Start, dialling, listening, media, seconds_pass
from person import Canvas, wait_card, wait_status
from picture import Picture

pytestmark = pytest.mark.terminal


# ---- what is seen


def test_the_window_shows_the_other_side_at_any_size(p2p: Start, desktop: Desktop) -> None:
    alice, bob = in_a_call(p2p, desktop)
    window = with_a_card(desktop)
    assert window.title == "bob (not verified) - p2pcall"
    for size in ((320, 240), (640, 360), (1000, 900)):
        window.resize(*size)
        seen = window.wait_until(
            lambda seen, size=size: seen.shape[:2] == size[::-1] and shows_card(seen), f"the card at {size}"
        )
        beside = (seen[: size[1] // 2, :2] if size[0] * 3 > size[1] * 4 else seen[:2]).max()
        assert beside == 0 or size == (320, 240), "black beside the picture"
        coded = min(size[0], 320), min(size[1], 240)  # the card is no larger
        wait_video_size(alice, Canvas(coded[0], coded[1] // 2 + 1))
    window.key("q")
    assert alice.wait_exit() == 0
    assert bob.wait_event("ended")["reason"] == "hung-up"
    wait_for(lambda: not desktop.windows(), "end of the window")


def test_a_picture_of_another_shape_gives_a_new_window_its_shape(
    p2p: Start, desktop: Desktop, tmp_path: Path
) -> None:
    import av

    tall = tmp_path / "tall.png"
    with av.open(str(tall), "w", format="image2", options={"update": "1"}) as container:
        stream = container.add_stream("png")
        stream.width, stream.height, stream.pix_fmt = 180, 320, "rgb24"
        green = np.full((320, 180, 3), (0, 200, 0), np.uint8)
        container.mux(stream.encode(av.VideoFrame.from_ndarray(green, format="rgb24")))
        container.mux(stream.encode(None))
    _, target = listening(p2p, "--answer", "anyone", using=media("silence", video_in=str(tall)))
    dialling(p2p, target, using=media("silence", video_out="window"), env=desktop.env).wait_event("connected")
    window = desktop.wait_window()
    window.wait_until(
        lambda seen: seen.shape[:2] == (480, 270) and int(seen[..., 1].min()) > 150,
        "a green window of that shape",
    )


def test_full_screen_and_back(p2p: Start, desktop: Desktop) -> None:
    in_a_call(p2p, desktop)
    window = with_a_card(desktop)
    before = window.place()[2:]
    whole = desktop.server.screen().shape[1::-1]
    for on, off in ((lambda: window.key("f"), lambda: window.key("Escape")), (window.double_click,) * 2):
        on()
        wait_for(lambda: window.place()[2:] == whole, "full screen")
        window.wait_until(shows_card, "the card on the whole screen")
        off()
        wait_for(lambda: window.place()[2:] == before, "the size before")
        window.wait_until(shows_card, "the card as before")


def test_ones_own_picture_is_in_the_corner_and_o_takes_it_away(p2p: Start, desktop: Desktop) -> None:
    in_a_call(p2p, desktop, video_in="test")
    window = with_a_card(desktop)

    def own(seen: Picture) -> bool:
        """The card once more, mirrored: blue on the left."""
        left, right = (seen[340:420, x : x + 4].reshape(-1, 3).mean(axis=0) for x in (474, 630))
        return bool(left[2] > 2 * left[0] + 40 and right.min() > 120)

    window.wait_until(own, "one's own picture, mirrored")
    window.key("o")
    window.wait_until(lambda seen: not own(seen), "no picture of one's own")
    window.key("o")
    window.wait_until(own, "one's own picture again")


def test_a_name_takes_its_cells_and_covers_nothing(p2p: Start, desktop: Desktop) -> None:
    """What stands beside the name says whether it is verified, and must be read."""
    bars = []
    for letter in ("a", "a\u0336\u0336"):
        name = 12 * letter
        bob, target = listening(p2p, "--answer", "anyone", using=media("silence"), name=name)
        alice = dialling(
            p2p, target, using=media("silence", video_out="window"), env=desktop.env, name=f"to{bob.pid}"
        )
        alice.wait_event("stats")
        window = desktop.wait_window()
        beside = slice(116, 200)  # after one cell and twelve letters of 8 pixels: · new · e2e

        def told(seen: Picture, beside: slice = beside) -> bool:
            return bool((seen[-16:, beside].max(axis=2) > 100).any())

        bars.append(window.wait_until(told, "what stands beside the name")[-16:, beside].astype(int))
        alice.signal(signal.SIGTERM)
        assert alice.wait_exit() == 0
        wait_for(lambda: not desktop.windows(), "end of the window")
    assert np.abs(bars[0] - bars[1]).max() < 60, "only the ground may shine through differently"


# ---- keys and closing


def test_the_keys_of_the_terminal_work_in_the_window(p2p: Start, desktop: Desktop) -> None:
    alice, bob = in_a_call(p2p, desktop, video_in="test")
    window = with_a_card(desktop)
    window.key("m")
    assert bob.wait_event("media", side="remote", audio=False)["video"]
    window.key("v")
    bob.wait_event("media", side="remote", video=False)
    for box in ("question", "s", "i"):
        before = box_ground(window.picture())
        window.key(box)
        window.wait_until(
            lambda seen, before=before: bool((box_ground(seen) != before).mean() > OTHER_BOX), f"box of {box}"
        )
    window.key("y")
    assert alice.wait_event("verified")["name"] == "bob"
    wait_for(lambda: window.title == "bob (verified) - p2pcall", "new title")
    window.key("ctrl+c")
    assert alice.wait_exit() == 0
    assert bob.wait_event("ended")["reason"] == "hung-up"


def test_closing_the_window_hangs_up(p2p: Start, desktop: Desktop) -> None:
    alice, bob = in_a_call(p2p, desktop)
    with_a_card(desktop).press_close()
    assert alice.wait_exit() == 0
    assert alice.all_events("ended")[0]["reason"] == "hung-up"
    assert bob.wait_event("ended")["reason"] == "hung-up"


@pytest.mark.parametrize("answer", ["y", "closed"])
def test_with_confirm_closing_asks_first(p2p: Start, desktop: Desktop, answer: str) -> None:
    alice, _ = in_a_call(p2p, desktop, "--confirm")
    window = with_a_card(desktop)

    def asks(seen: Picture) -> bool:
        return bool(box_ground(seen).mean() > A_BOX)

    for leave in (window.press_close, lambda: window.key("q")):
        leave()
        window.wait_until(asks, "the question")
        window.key("x")
        window.wait_until(lambda seen: not asks(seen), "the picture again")
    window.press_close()
    window.wait_until(asks, "the question")
    assert not alice.all_events("ended")
    if answer == "y":
        window.key("y")
    else:
        window.press_close()
    assert alice.wait_exit() == 0


def test_w_goes_from_the_terminal_to_the_window_and_back(p2p: Start, desktop: Desktop) -> None:
    alice, _ = in_a_call(p2p, desktop, video_out="auto", terminal=(100, 30))
    for _ in range(2):
        wait_card(alice)
        alice.send("w")
        alice.wait_until(lambda: "▄" not in alice.screen_text and "@@" in alice.screen_text, "characters")
        assert not desktop.windows()
        alice.send("w")
        window = with_a_card(desktop)
        alice.wait_screen("shown in the window")
        alice.send("m")
        wait_status(alice, "muted")
        alice.send("m")
        window.key("w")
        wait_for(lambda: not desktop.windows(), "end of the window")
    wait_card(alice)


def test_what_is_typed_while_the_window_opens_is_for_somebody_else(p2p: Start, desktop: Desktop) -> None:
    alice, bob = in_a_call(p2p, desktop)
    for _ in range(40):
        desktop.do("type", "qmv")
        if desktop.windows():
            break
    window = with_a_card(desktop)
    window.key("alt+q")
    window.key("super+m")
    seconds_pass(alice, 1)
    assert not alice.all_events("ended")
    assert not bob.all_events("media")
    window.key("m")
    bob.wait_event("media", side="remote", audio=False)


def test_ctrl_c_in_the_window_ends_listen_as_in_the_terminal(p2p: Start, desktop: Desktop) -> None:
    bob, target = listening(
        p2p, "--answer", "anyone", using=media("silence", video_out="window"), env=desktop.env
    )
    alice = dialling(p2p, target, using=media("silence", video_in="test"))
    for first in (True, False):
        window = with_a_card(desktop)
        window.key("q" if first else "ctrl+c")
        assert alice.wait_exit() == 0
        if first:
            assert bob.exit_code is None, "it listens on"
            alice = dialling(p2p, target, using=media("silence", video_in="test"), name="again")
    assert bob.wait_exit() == 0


def test_a_window_that_cannot_be_opened_is_left_out_from_then_on(p2p: Start) -> None:
    """A display that is not there any more is named in the environment of many a terminal."""
    bob, target = listening(p2p, "--answer", "anyone", using=media("tone", video_in="test"))
    using = media("tone", video_out="auto")
    alice = dialling(p2p, target, using=using, env={"DISPLAY": ":4294"}, terminal=(100, 30))
    for failed in (1, 1):
        wait_card(alice)
        alice.send("w")
        alice.wait_until(lambda: "▄" not in alice.screen_text and "@@" in alice.screen_text, "characters")
        alice.send("w")
        wait_card(alice)
        assert len(alice.all_events("warning")) == failed
    assert "the display :4294 cannot be opened" in alice.all_events("warning")[0]["text"]
    bob.signal(signal.SIGTERM)


# ---- what can break


def breaks(p2p: Start, desktop: Desktop, place: Path, how: str) -> Path:
    """The window is lost: told once, the terminal shows the picture, and the call goes on; what was heard."""
    heard = place / "heard.wav"
    alice, bob = in_a_call(p2p, desktop, audio_out=heard, terminal=(100, 30))
    window = with_a_card(desktop)
    (process,) = processes_of(alice.pid)
    seconds_pass(alice, 1)
    if how == "display":
        desktop.end_server()
    elif how == "hangs":
        os.kill(process, signal.SIGSTOP)
        alice.send("w")
    else:
        os.kill(process, signal.SIGKILL)
    assert window.number
    wait_card(alice)
    if how != "hangs":
        told = alice.wait_event("warning", slug="window-lost")
        assert "window has gone" in told["text"]
    assert ends(process, 10), "nothing is left of the window"
    seconds_pass(alice, 2)
    assert not alice.all_events("ended")
    alice.send("q")
    assert alice.wait_exit() == 0
    assert bob.wait_event("ended")["reason"] == "hung-up"
    assert len(alice.all_events("warning")) == (how != "hangs")
    return heard


@pytest.mark.parametrize("how", ["killed", "display", "hangs"])
@pytest.mark.apart
def test_a_window_that_is_lost_does_not_touch_the_call(p2p: Start, tmp_path: Path, how: str) -> None:
    without_a_gap(p2p, tmp_path, lambda start, desktop, place: breaks(start, desktop, place, how))


def minimised(p2p: Start, desktop: Desktop, place: Path) -> Path:
    """A window is minimised and comes back; what was heard."""
    heard = place / "heard.wav"
    alice, bob = in_a_call(p2p, desktop, audio_out=heard)
    window = with_a_card(desktop)
    seconds_pass(bob, 2)
    with_picture = bob.wait_event("stats")["tx_kbps"]
    window.state("add,maximized_vert,maximized_horz")
    window.wait_until(lambda seen: seen.shape[0] > 900 and shows_card(seen), "the card in the whole height")
    window.minimise()
    window.state("add,above")  # SDL says that it is maximised then, which it is, and that is not seen
    while alice.wait_event("stats")["video_fps"] > 0:
        pass
    seconds_pass(alice, 2)
    seconds_pass(bob, 1)
    assert alice.all_events("stats")[-1]["video_fps"] == 0
    assert bob.all_events("stats")[-1]["tx_kbps"] < with_picture - PICTURE_KBPS
    window.activate()
    window.wait_until(shows_card, "the card again")
    while alice.wait_event("stats")["video_fps"] < 10:
        pass
    alice.signal(signal.SIGTERM)
    assert alice.wait_exit() == 0
    return heard


@pytest.mark.apart
def test_nothing_is_sent_for_a_window_that_is_minimised(p2p: Start, tmp_path: Path) -> None:
    without_a_gap(p2p, tmp_path, minimised)


def test_the_window_ends_with_the_call_whatever_happens_to_it(p2p: Start, desktop: Desktop) -> None:
    alice, bob = in_a_call(p2p, desktop)
    with_a_card(desktop)
    (process,) = processes_of(alice.pid)
    alice.signal(signal.SIGKILL)
    assert ends(process, 10)
    wait_for(lambda: not desktop.windows(), "end of the window")
    bob.signal(signal.SIGTERM)
    assert bob.wait_exit() == 0


@pytest.fixture
def silent_display(request: pytest.FixtureRequest) -> Iterator[str]:
    """A display that takes connections and never says a word."""
    number = 4300 + os.getpid() % 1000
    path = Path(f"/tmp/.X11-unix/X{number}")
    path.parent.mkdir(exist_ok=True)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        yield f":{number}"
    path.unlink()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_display_that_says_nothing_holds_nobody_up_and_leaves_nothing(
    p2p: Start, silent_display: str, how: signal.Signals
) -> None:
    alice = p2p("dial", "127.0.0.1", *media(video_out="window"), env={"DISPLAY": silent_display})
    wait_for(lambda: bool(processes_of(alice.pid)), "process of the window")
    (process,) = processes_of(alice.pid)
    alice.signal(how)
    assert alice.wait_exit() in (130, -how)
    assert ends(process, 10), "nothing is left of the window"


# ---- before a call


@pytest.mark.parametrize(
    "environ,told",
    [
        ({}, "there is no display for a window"),
        ({"DISPLAY": ":4294"}, "the display :4294 cannot be opened"),
        ({"SDL_VIDEODRIVER": "offscreen", "DISPLAY": ":4294"}, "no display but offscreen, which nobody sees"),
    ],
    ids=["none", "unreachable", "invisible"],
)
def test_without_a_display_nobody_is_called(p2p: Start, environ: dict[str, str], told: str) -> None:
    commands: Sequence[Sequence[str]] = (
        ("dial", "127.0.0.1", *media(video_out="window")),
        ("listen", "--announce", "off", "--port", "0", *media(video_out="window")),
    )
    sides = [p2p(*argv, env=environ) for argv in commands]
    devices, listed = p2p("devices", env=environ), p2p("devices", "--json", env=environ)
    for side in sides:
        assert side.wait_exit() == 6
        assert told in side.stderr_text
        assert "p2pcall: hint: call with `--video-out auto`" in side.stderr_text
    assert (devices.wait_exit(), listed.wait_exit()) == (0, 0)
    assert told in devices.stdout.decode()
    assert b'"window"' not in listed.stdout


def test_devices_say_that_a_window_opens(p2p: Start, desktop: Desktop) -> None:
    devices = p2p("devices", env=desktop.env)
    assert devices.wait_exit() == 0
    assert b"opens on x11" in devices.stdout
    listed = p2p("devices", "--json", env=desktop.env)
    assert listed.wait_exit() == 0
    assert b'"kind":"window","name":"window","default":false' in listed.stdout


# ---- for long


def resident_mib(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(dict(line.split(":", 1) for line in lines)["VmRSS"].split()[0]) / 1024


@pytest.mark.timeout(1200)
def test_a_call_with_many_resizes_stays_flat(p2p: Start, desktop: Desktop, tmp_path: Path) -> None:
    """Two hundred in ten minutes in the nightly run."""
    resizes, seconds, growth_mib = (200, 600, 6.0) if NIGHTLY else (30, 12, 6.0)
    chance = np.random.default_rng(7)
    alice, bob = in_a_call(p2p, desktop, video_in="test")
    window = with_a_card(desktop)
    (process,) = processes_of(alice.pid)
    pids = {"window": process, "alice": alice.pid, "bob": bob.pid}
    sizes = chance.integers((200, 150), (1200, 900), size=(resizes, 2)).tolist()
    for size in [[1200, 900], *sizes]:  # every buffer, and every encoder, has been as large as it gets
        window.resize(*size)
        window.wait_until(shows_card, f"the card at {size}")
    before = {name: resident_mib(pid) for name, pid in pids.items()}
    for number, size in enumerate(sizes):
        window.resize(*size)
        if number % (resizes // 10) == 0:
            seconds_pass(alice, seconds // 10)
            window.wait_until(shows_card, f"the card at {size}")
    after = {name: resident_mib(pid) for name, pid in pids.items()}
    growth = {name: after[name] - before[name] for name in pids}
    print(f"{resizes} resizes: memory {after}, growth {growth}")
    assert max(growth.values()) < growth_mib, growth
    assert not alice.all_events("warning")
