"""What each side has on or off: sound, picture, recording. Sent to the other side, shown to people and scripts.

Left out: the switching (`controls`, `live`) and the media themselves.
"""

from collections.abc import Callable
from typing import Final

from p2pcall import events
from p2pcall.engine.audio_send import AudioSend
from p2pcall.engine.call_status import CallStatus
from p2pcall.engine.consents import ConsentKind
from p2pcall.engine.devices import Devices
from p2pcall.engine.node import PeerConnection
from p2pcall.engine.timers import Timers
from p2pcall.engine.ui import Ui
from p2pcall.engine.videopath import VideoPath
from p2pcall.proto.messages import ControlType, MediaFlags, media_flags

MEDIA_EVERY_S: Final = 0.2
"""Shortest time between two events about the other side's state."""


class LocalMedia:
    """The microphone and the camera of this side: switches them and reports it to both sides."""

    def __init__(
        self,
        line: PeerConnection,
        ui: Ui,
        status: CallStatus,
        devices: Devices,
        send: AudioSend,
        *,
        video_on: bool,
    ) -> None:
        self._line, self._ui, self._status = line, ui, status
        self._devices, self._send = devices, send
        self.video: VideoPath | None = None
        self.video_on = video_on
        self.on_film: Callable[[], None] | None = None
        """Called when the camera was switched."""
        self.on_sends: Callable[[ConsentKind, bool], None] | None = None
        """Told what is sent from now on, or no longer."""
        self._told = True
        self._records = False

    @property
    def can_film(self) -> bool:
        """Whether there is a camera to switch."""
        return self.video is not None and self._devices.sends_video

    @property
    def muted(self) -> bool:
        """Silence is sent in the microphone's place."""
        return self._send.muted

    def mute(self, on: bool) -> None:
        """The microphone off, or on again."""
        if on != self._send.muted:
            self._send.muted = on
            self._status.tell(muted=on)
            self._sends(ConsentKind.SOUND, self._devices.sends_audio and not on)
            self._tell()

    def film(self, on: bool) -> None:
        """Switch the camera on or off."""
        assert self.video is not None
        self.video_on = on
        self.video.film(on)
        if not on and self._status.view is not None:
            self._status.view.show_local(None)
        self._status.tell(video_on=on)
        self._sends(ConsentKind.PICTURE, on)
        self._tell()
        if self.on_film is not None:
            self.on_film()

    def record(self, on: bool) -> None:
        """This side records the call, or no longer."""
        self._records = on
        self._tell()

    def tell_again(self) -> None:
        """Send the state again if the control channel had no room before."""
        if not self._told:
            self._tell()

    def sends_now(self) -> None:
        """The call has begun."""
        self._sends(ConsentKind.SOUND, self._devices.sends_audio and not self._send.muted)
        self._sends(ConsentKind.PICTURE, self.video_on)

    def _sends(self, kind: ConsentKind, on: bool) -> None:
        if self.on_sends is not None:
            self.on_sends(kind, on)

    def _tell(self) -> None:
        audio = self._devices.sends_audio and not self._send.muted
        flags = bytes([media_flags(audio, self.video_on, self._records)])
        self._told = self._line.send_control(ControlType.MEDIA, flags)
        self._ui.emit(events.Media(self._line.peer.call_id, "local", audio, self.video_on, self._records))


class RemoteMedia:
    """What the other side reports as on. Events come at most as often as a person presses keys."""

    def __init__(
        self, line: PeerConnection, ui: Ui, status: CallStatus, timers: Timers, *, video: bool
    ) -> None:
        """`video`: what the other side said before the call was up."""
        self._peer, self._ui, self._status, self._timers = line.peer, ui, status, timers
        self._flags = media_flags(True, video)
        self._told: int | None = None
        self.on_told: Callable[[bool, bool], None] | None = None
        """Told whether the other side has begun to film, and whether it records."""
        self._filmed = video

    def on_flags(self, flags: int) -> None:
        """Take a MEDIA message of the other side."""
        if flags == self._flags:
            return
        self._flags = flags
        if not self._timers.waits("media"):
            self._tell()

    def _tell(self) -> None:
        flags = self._flags
        if flags == self._told:
            return
        self._told = flags
        self._timers.after("media", MEDIA_EVERY_S, self._tell)
        audio, video = bool(flags & MediaFlags.AUDIO), bool(flags & MediaFlags.VIDEO)
        recording = bool(flags & MediaFlags.RECORDING)
        self._ui.emit(events.Media(self._peer.call_id, "remote", audio, video, recording))
        if not video and self._status.view is not None:
            self._status.view.clear_remote()
        self._status.tell(remote_muted=not audio, remote_video=video, remote_records=recording)
        began, self._filmed = video and not self._filmed, video
        if self.on_told is not None:
            self.on_told(began, recording)
