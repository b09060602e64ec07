"""Whether the other side is heard: reconnecting after SILENT_S of silence, lost after LOST_TIMEOUT_S."""

from p2pcall.proto import constants as c


class Liveness:
    """Since when nothing authentic has come. `broken` is set by `breaks` and cleared by `heard`."""

    __slots__ = ("_heard_at", "broken")

    def __init__(self, now: float) -> None:
        self._heard_at = now
        self.broken = False

    @property
    def lost_at(self) -> float:
        """When the line is given up."""
        return self._heard_at + c.LOST_TIMEOUT_S

    def heard(self, now: float) -> float | None:
        """Something authentic came. Returns the length of the silence if the line was `broken`, else None."""
        silent, self._heard_at = now - self._heard_at, now
        if not self.broken:
            return None
        self.broken = False
        return silent

    def breaks(self, now: float) -> bool:
        """Whether the line has just become silent; True once per silence, so that people are told once."""
        if self.broken or now < self._heard_at + c.SILENT_S:
            return False
        self.broken = True
        return True

    def next_timer(self) -> float:
        """When `breaks` or `lost_at` comes true."""
        return self.lost_at if self.broken else self._heard_at + c.SILENT_S
