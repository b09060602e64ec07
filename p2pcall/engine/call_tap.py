"""What a recording gets of a call: the packets of sound and the coded pictures, as they are sent and as they come.

While nothing is recorded this costs nothing: it is not on their way.
"""

from collections.abc import Callable
from typing import Final

from p2pcall.engine.audio_send import AudioSend
from p2pcall.engine.node import PeerConnection
from p2pcall.engine.videopath import VideoPath
from p2pcall.proto.wire import Channel
from p2pcall.store.recordings import Track


class CallTap:
    """One call's; `video` is set once there is a picture."""

    def __init__(self, line: PeerConnection, send: AudioSend) -> None:
        self._line, self._send = line, send
        self.video: VideoPath | None = None
        self._untapped: Callable[[int, bytes], None] | None = None

    def start(self, put: Callable[[Track, bytes], None]) -> None:
        """Give everything to `put` from now on."""
        taker = self._untapped = self._line.on_payload

        def received(channel: int, data: bytes) -> None:
            if channel == Channel.AUDIO:
                put(Track.SOUND_RECEIVED, data)
            if taker is not None:
                taker(channel, data)

        self._line.on_payload = received
        self._send.tap(lambda packet: put(Track.SOUND_SENT, packet))
        if self.video is not None:
            self.video.tap = lambda sent, data, key: put(_PICTURES[sent, key], data)
            self.video.want_keys()

    def stop(self) -> None:
        """Give nothing any more."""
        if self._line.on_payload is not None:  # else the call is over
            self._line.on_payload = self._untapped
        self._send.tap(None)
        if self.video is not None:
            self.video.tap = None


_PICTURES: Final = {
    (True, False): Track.PICTURE_SENT,
    (False, False): Track.PICTURE_RECEIVED,
    (True, True): Track.KEY_PICTURE_SENT,
    (False, True): Track.KEY_PICTURE_RECEIVED,
}
"""(sent, key) -> its track."""
