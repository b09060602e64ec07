"""What is made rather than captured: the test card, and the person who sings. They need no hardware and no file."""

from typing import Final

from p2pcall.media.constants import VIDEO_FPS

WIDTH: Final = 320
"""Pixels of a drawn picture: what a core draws beside a call without being felt."""
HEIGHT: Final = 240
FPS: Final = VIDEO_FPS
"""Pictures of a second: as many as are sent."""
