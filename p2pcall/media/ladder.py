"""How big a picture is coded, and with how many bits.

Rule: never more pixels than the other side can show, never more than the source has, aspect kept. Pure
functions. Leaves out bandwidth: the rate here is what a picture of this size needs, not what the path can
bear.
"""

from p2pcall.media import constants as c


def encode_size(source_w: int, source_h: int, view_w: int, view_h: int) -> tuple[int, int]:
    """The size to code a source at for a view: even, at least VIDEO_MIN_SIDE; (0, 0) if the view is empty.

    ValueError for an empty source.
    """
    if source_w < 1 or source_h < 1:
        raise ValueError("a source without pixels")
    if view_w < 1 or view_h < 1:
        return (0, 0)
    room_w = min(view_w, source_w, c.VIDEO_MAX_WIDTH)
    room_h = min(view_h, source_h, c.VIDEO_MAX_HEIGHT)
    if room_w * source_h <= room_h * source_w:  # the width binds
        return (_even(room_w), _even(room_w * source_h / source_w))
    return (_even(room_h * source_w / source_h), _even(room_h))


def _even(side: float) -> int:
    return max(c.VIDEO_MIN_SIDE, int(side) // 2 * 2)


def video_bitrate(width: int, height: int, fps: float) -> int:
    """Bits a second for a picture of this size and rate, between VIDEO_MIN_BPS and VIDEO_MAX_BPS."""
    ratio = max(0.0, width * height * fps) / c.VIDEO_RATE_REFERENCE
    wanted = c.VIDEO_RATE_REFERENCE_BPS * ratio**c.VIDEO_RATE_POWER
    return int(min(c.VIDEO_MAX_BPS, max(c.VIDEO_MIN_BPS, wanted)))
