"""Whether the other side is heard: reconnecting after SILENT_S without it, lost after LOST_TIMEOUT_S."""

from p2pcall.proto import constants as c


class Liveness:
    """Since when nothing authentic has come. `broken` from `breaks` until something is `heard` again."""

    __slots__ = ("_heard_at", "broken")

    def __init__(self, now: float) -> None:
        self._heard_at = now
        self.broken = False

    @property
    def lost_at(self) -> float:
        """When the line is given up."""
        return self._heard_at + c.LOST_TIMEOUT_S

    def heard(self, now: float) -> float | None:
        """Something authentic came: how long it had been silent if that had been told, else None."""
        silent, self._heard_at = now - self._heard_at, now
        if not self.broken:
            return None
        self.broken = False
        return silent

    def breaks(self, now: float) -> bool:
        """Whether it is just now that people should be told."""
        if self.broken or now < self._heard_at + c.SILENT_S:
            return False
        self.broken = True
        return True

    def next_timer(self) -> float:
        """When `breaks` or `lost_at` comes true."""
        return self.lost_at if self.broken else self._heard_at + c.SILENT_S
