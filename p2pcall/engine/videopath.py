"""The part of the picture in the loop: fragments out and in, retransmission, key frames, wanted number of pixels."""

import asyncio
from collections.abc import Callable, Iterable

from p2pcall.device.base import VideoSink
from p2pcall.engine.node import PeerConnection
from p2pcall.engine.offload import offload
from p2pcall.engine.video import CaptureThread, PlayoutThread
from p2pcall.media import constants as media
from p2pcall.media.packets import Nack, pack_fragment, parse_fragment, split_frame, video_payload_bytes
from p2pcall.media.reassembly import FragmentStore, Reassembler
from p2pcall.proto.wire import Channel


class VideoPath:
    """Both directions of one call's picture. `capture` or `playout` is None if that direction is off."""

    def __init__(
        self,
        line: PeerConnection,
        clock: Callable[[], float],
        session_ms: Callable[[float], int],
        capture: CaptureThread | None,
        playout: PlayoutThread | None,
        sink: VideoSink | None,
    ) -> None:
        self._line, self._clock, self._session_ms = line, clock, session_ms
        self._capture, self._playout, self._sink = capture, playout, sink
        self._loop = asyncio.get_running_loop()
        self._store = FragmentStore()
        self._reassembler = Reassembler()
        self._frame_id = 0
        self._next_key_at = 0.0
        self._poll: asyncio.TimerHandle | None = None
        self.completed = 0
        self.malformed = 0
        self.on_first_show: Callable[[], None] | None = None
        self.tap: Callable[[bool, bytes, bool], None] | None = None
        """Given each coded picture: whether it was sent, the picture, whether it is a key."""
        if capture is not None:
            capture.on_encoded = self._send_frame
        if playout is not None:
            playout.on_broken = self._broken
            playout.on_first_show = self._first_show

    @property
    def unwanted(self) -> int:
        """Useless fragments: too old, duplicate, or of a picture that cannot be completed."""
        return self._reassembler.rejected

    def start(self, film: bool) -> None:
        """Start to show pictures; switch the camera on if `film`."""
        if self._playout is not None:
            self._playout.start()
        self.film(film)

    def film(self, on: bool) -> None:
        """Camera on or off; off closes the device."""
        if self._capture is None or on == self._capture.running:
            return
        if on:
            self._capture.start()
        else:
            self._capture.stop()

    async def stop(self) -> None:
        """End the threads without blocking the loop; the sink stays open."""
        if self._poll is not None:
            self._poll.cancel()
        if self._capture is not None or self._playout is not None:
            await offload(self._stop_threads)

    def _stop_threads(self) -> None:
        if self._capture is not None:
            self._capture.stop(wait=True)
        if self._playout is not None:
            self._playout.stop()

    def view_size(self) -> tuple[int, int]:
        """Pixels that this side can show; 0×0 without a sink."""
        return (0, 0) if self._sink is None else self._sink.view_size()

    def set_remote_view(self, width: int, height: int) -> None:
        """Pixels that the other side can show."""
        if self._capture is not None:
            self._capture.set_view(width, height)

    def on_key_request(self) -> None:
        """The other side cannot decode until a key frame comes; answered only as often as an honest side asks."""
        now = self._clock()
        if self._capture is not None and now >= self._next_key_at:
            self._next_key_at = now + media.VIDEO_KEY_INTERVAL_S
            self._capture.want_key()

    def want_keys(self) -> None:
        """Have both directions begin anew, for somebody who has not seen what came before."""
        if self._capture is not None:
            self._capture.want_key()
        if self._playout is not None:
            self._broken()

    def set_rtt(self, rtt_s: float) -> None:
        """Set the round trip; it determines the interval of requests for missing fragments."""
        self._reassembler.rtt_s = rtt_s

    def on_nack(self, nack: Nack) -> None:
        """Send missing fragments again, within the store's bounds."""
        self._send(self._store.get(nack.frame_id, nack.indexes, self._clock()))

    def on_payload(self, data: bytes) -> None:
        """One fragment from the other side."""
        fragment = parse_fragment(data)
        if fragment is None or self._playout is None:
            self.malformed += fragment is None
            return
        for frame in self._reassembler.insert(fragment, self._clock()):
            self.completed += 1
            if self.tap is not None:
                self.tap(False, frame.data, frame.key)
            self._playout.submit(frame.data, frame.key)
        self._arm()

    def _send_frame(self, data: bytes, key: bool, captured_at: float) -> None:
        assert self._capture is not None
        self._capture.sent()
        if len(data) > media.MAX_VIDEO_FRAME_BYTES:
            self._capture.want_key()
            return
        if self.tap is not None:
            self.tap(True, data, key)
        fragments = split_frame(self._frame_id, self._session_ms(captured_at), key, data)
        payloads = [pack_fragment(fragment) for fragment in fragments]
        self._store.add(self._frame_id, payloads, self._clock())
        self._send(payloads)
        self._frame_id += 1

    def _send(self, payloads: Iterable[bytes]) -> None:
        self._line.send_all(Channel.VIDEO, [(payload, video_payload_bytes(payload)) for payload in payloads])

    def _broken(self) -> None:
        self._reassembler.request_key(self._clock())
        self._arm()

    def _arm(self) -> None:
        due = self._reassembler.next_poll()
        if self._poll is not None:
            self._poll.cancel()
        self._poll = None if due is None else self._loop.call_later(due - self._clock(), self._do_poll)

    def _do_poll(self) -> None:
        for payload in self._reassembler.poll(self._clock()):
            self._line.send(Channel.FEEDBACK, payload)
        self._arm()

    def _first_show(self) -> None:
        if self.on_first_show is not None:
            self.on_first_show()
