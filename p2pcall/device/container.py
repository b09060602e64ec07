"""Media files and streams for the library that reads and writes them: every path and every pipe goes through here.

Rules: a name is a name: FFmpeg sees no protocol, number pattern or option in it. Nothing is sent of a file that was not
named: lists of other files are refused. What is read as a stream is read once, from its first byte on. The track that
players take is taken (the default one; a cover is no film) unless a number is given. Time stamps come out as one line
(`timestamps`). Leaves out decoding.
"""

import shlex
from collections.abc import Iterator
from math import ceil
from pathlib import Path
from typing import Any, Final, Literal, cast

import av
from av.container import InputContainer
from av.format import Flags
from av.stream import Disposition, Stream

from p2pcall.device.base import media_file_error
from p2pcall.device.source import MediaInput, check_is_file
from p2pcall.device.timestamps import MAX_BROKEN_PAUSE_S, MAX_PAUSE_S, Joins
from p2pcall.errors import ExitCode, P2PCallError
from p2pcall.media.constants import FRAME_S

Kind = Literal["audio", "video"]
WORDS: Final = {"audio": "sound", "video": "picture"}
SECOND_CHOICE: Final = (
    Disposition.comment | Disposition.hearing_impaired | Disposition.visual_impaired | Disposition.karaoke
)
READ_OPTIONS: Final = {"protocol_whitelist": "file", "pattern_type": "none"}
"""A playlist must not make FFmpeg open network addresses; `%03d` in a picture's name is no series of pictures."""
STREAM_OPTIONS: Final = {"protocol_whitelist": "", "analyzeduration": "1000000", "probesize": "1000000"}
"""What is read as it comes is not to be read for seconds before it is heard."""

PLAYLISTS: Final = frozenset(("concat", "hls", "applehttp", "dash", "imf", "webm_dash_manifest"))
"""Formats that name other files: a message that somebody sent must not send what lies beside it."""
MAX_READ_ERRORS: Final = 50
"""So many in a row are the end of a file."""


def file_url(path: str, mode: Literal["rb", "wb"] = "rb") -> Any:
    """What to give the library for a path: a URL that means this very name, or an open file where no URL can."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return Path(path).open(mode)
    return f"file:{path}"


def system_error(error: OSError | av.FFmpegError) -> OSError:
    """The same as an error of the system: some of the library's are, some its own."""
    return error if isinstance(error, OSError) else OSError(str(error))


def open_media(media: MediaInput, kind: Kind, fps: int | None = None) -> InputContainer:
    """The opened file or stream, which has a track of `kind`; raises P2PCallError if it has none.

    `fps` is the rate of pictures in a format that has no time stamps.
    """
    rate = {"framerate": str(fps)} if fps else {}
    if media.reader is None:
        check_is_file(media.name)
    try:
        if media.reader is None:
            container = cast(InputContainer, av.open(file_url(media.name), options=READ_OPTIONS | rate))
        else:
            container = av.open(cast(Any, media.reader), options=STREAM_OPTIONS | rate)
    except (av.FFmpegError, OSError, ValueError) as error:
        hint = f"`ffprobe {shlex.quote(media.name)}` tells what it is"
        if media.reader is not None:
            hint = "`ffmpeg -i FILE -f matroska -` makes what can be read as it comes"
        raise media_file_error(media.name, "not a media file that can be read", hint) from error
    try:
        if set(container.format.name.split(",")) & PLAYLISTS:
            raise media_file_error(media.name, "a list of other files", "name the file itself")
        choose_track(container, media, kind)
    except P2PCallError:
        container.close()
        raise
    return container


def choose_track(container: InputContainer, media: MediaInput, kind: Kind) -> Any:
    """The track to take: a stream of the library, of `kind`."""
    tracks = [stream for stream in container.streams if stream.type == kind]
    if not tracks:
        raise media_file_error(media.name, f"there is no {WORDS[kind]} in it")
    if media.track is None:
        chosen = min(tracks, key=_rank)
        if chosen.codec_context is None:
            raise media_file_error(media.name, f"nothing here can decode the {WORDS[kind]} in it")
        return chosen
    films = [track for track in tracks if not track.disposition & Disposition.attached_pic]
    if not 1 <= media.track <= len(films):
        text = f"{media.name}: there is no {WORDS[kind]} track {media.track}"
        have = ", ".join(f"{n} ({_told(track)})" for n, track in enumerate(films, 1)) or "none"
        raise P2PCallError("no-such-track", text, ExitCode.USAGE, f"it has {have}")
    return films[media.track - 1]


def _rank(track: Stream) -> tuple[bool, bool, bool, int]:
    is_cover = bool(track.disposition & Disposition.attached_pic)
    is_default = bool(track.disposition & Disposition.default)
    if track.codec_context is None:
        return True, True, True, track.index
    return is_cover, not is_default, bool(track.disposition & SECOND_CHOICE), track.index


def _told(track: Stream) -> str:
    codec = track.codec_context.name if track.codec_context is not None else "unknown"
    return " ".join(word for word in (track.language, codec) if word)


def packets(container: InputContainer, track: Stream) -> "Iterator[av.Packet[Any]]":
    """The packets of one track, their stamps on one line with the other tracks', over what cannot be read.

    The last one is the empty packet that flushes the decoder.
    """
    broken = bool(container.format.flags & Flags.ts_discont.value)  # type: ignore[operator]
    joins = Joins(MAX_BROKEN_PAUSE_S if broken else MAX_PAUSE_S)
    timed = [stream for stream in container.streams if stream.type in WORDS]
    bases = {
        stream.index: stream.time_base.as_integer_ratio()
        for stream in timed
        if stream.time_base and not stream.disposition & Disposition.attached_pic
    }
    errors = 0
    demuxed = container.demux(timed)
    while errors < MAX_READ_ERRORS:
        try:
            packet = next(demuxed, None)
        except av.FFmpegError:
            errors += 1
            demuxed = container.demux(timed)  # a generator that has raised is at its end
            continue
        if packet is None:
            return
        errors = 0
        index = packet.stream.index
        if packet.size and index in bases:
            _move(packet, index, joins, *bases[index])
        if index == track.index:
            yield packet


def _move(packet: "av.Packet[Any]", index: int, joins: Joins, num: int, den: int) -> None:
    """Onto the line; `num` / `den` seconds is a tick of the packet's track."""
    seconds = None if packet.dts is None else packet.dts * num / den
    offset = joins.see(index, seconds, (packet.duration or 0) * num / den)
    if offset:
        ticks = round(offset / (num / den))
        packet.pts = None if packet.pts is None else packet.pts + ticks
        packet.dts = None if packet.dts is None else packet.dts + ticks


def zero_of(container: InputContainer) -> float:
    """The stamp, seconds, that is the beginning of all tracks together."""
    return (container.start_time or 0) / 1_000_000


def loop_length(media: MediaInput, kind: Kind) -> float | None:
    """Seconds after which all tracks begin anew in a loop: whole frames of sound; None where it is not known.

    P2PCallError as `open_media`.
    """
    with open_media(media, kind) as container:
        if not container.duration:
            return None
        return ceil(container.duration / 1_000_000 / FRAME_S) * FRAME_S
