"""The sound of a media file or stream, from its beginning to its end, as frames of 48 kHz mono.

Rules: a WAV that has it so is read here; the library that decodes all else is loaded when it is needed, by whoever
looks whether there is sound in a file (`check_sound`): before anybody is rung. Leaves out decoding (`decoding`), pacing
(`files`) and raw PCM (`pipes`).
"""

import wave
from collections.abc import Iterator

from p2pcall.device.base import SILENT_FRAME, Frames, OnNote, media_file_error
from p2pcall.device.source import FRAMES_AT_ONCE, MediaInput
from p2pcall.media.constants import FRAME_BYTES, FRAME_S, FRAME_SAMPLES, SAMPLE_RATE_HZ


def decoded_frames(media: MediaInput, *, together: bool = False, note: OnNote | None = None) -> Frames:
    """The sound as whole frames, the last one filled up with silence; `NOTHING_YET` in between.

    `together`: it keeps its place in time, with the picture of the same file. `note` is told what was left out.
    P2PCallError if it cannot be opened.
    """
    plain = None if together else _plain(media)
    if plain is not None:
        yield from plain
        return
    from p2pcall.device.decoding import decoded

    yield from decoded(media, together=together, note=note)


def _plain(media: MediaInput) -> Iterator[bytes] | None:
    """The frames of a WAV whose sound is as ours is: there is nothing to decode. None for all else.

    The library takes 50 ms to open it, for it looks whether such sound is something else in disguise.
    """
    if media.reader is not None or media.track is not None:
        return None
    try:
        sound = wave.open(media.name, "rb")  # noqa: SIM115  (`_read` closes it)
    except (OSError, EOFError, wave.Error):
        return None
    if sound.getparams()[:3] == (1, FRAME_BYTES // FRAME_SAMPLES, SAMPLE_RATE_HZ) and sound.getnframes():
        return _read(sound)
    sound.close()
    return None


def _read(sound: wave.Wave_read) -> Iterator[bytes]:
    with sound:
        while pcm := sound.readframes(FRAME_SAMPLES * FRAMES_AT_ONCE):
            for at in range(0, len(pcm), FRAME_BYTES):
                yield pcm[at : at + FRAME_BYTES].ljust(FRAME_BYTES, b"\0")


def check_sound(media: MediaInput) -> None:
    """Raises P2PCallError unless there is sound that can be decoded."""
    for frame in decoded_frames(media):
        if frame:
            return
    raise media_file_error(media.name, "there is no sound in it that can be decoded")


def repeated(media: MediaInput, *, together: bool = False, note: OnNote | None = None) -> Frames:
    """The sound over and over; ends if the file has become empty.

    `together`: each time as long as sound and picture of the file are, so that they begin anew at once.
    """
    frames = _frames_of_all(media) if together else None
    while True:
        count = 0
        for frame in decoded_frames(media, together=together, note=note):
            if frame and frames is not None and count >= frames:
                break
            count += bool(frame)
            yield frame
        if not count:
            return
        for _ in range(count, frames or 0):
            yield SILENT_FRAME


def _frames_of_all(media: MediaInput) -> int | None:
    """How long sound and picture of the file are together; None where it is not known."""
    from p2pcall.device.container import loop_length

    length = loop_length(media, "audio")
    return None if length is None else round(length / FRAME_S)
