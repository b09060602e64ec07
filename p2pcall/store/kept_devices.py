"""The user's permanent choice: the microphone and the speaker of calls that name none.

Names of devices are no secrets, but how a person is equipped concerns nobody: the file is private, as all of the home.
A damaged one is an error and is not changed. Leaves out whether the devices are there.
"""

import json
from typing import Final

from msgspec import Struct

from p2pcall.store.home import Home, damaged, parsed, read, write_atomic

KEPT_DEVICES_VERSION: Final = 1
"""Version of the file format."""
MAX_DEVICE_NAME: Final = 1_000
"""Characters; names of sound cards have some 30. A longer one was not written by this program."""


class KeptDevices(Struct, frozen=True):
    """By name; None: the default one."""

    microphone: str | None = None
    speaker: str | None = None


def kept_devices(home: Home) -> KeptDevices:
    """What is kept. Raises `P2PCallError` (config) if the file cannot be used."""
    path = home.devices_path
    data = read(path)
    if data is None:
        return KeptDevices()
    document = parsed(data, path, KEPT_DEVICES_VERSION)
    found = [document.get(key) for key in ("microphone", "speaker")]
    if not all(one is None or (isinstance(one, str) and 0 < len(one) <= MAX_DEVICE_NAME) for one in found):
        raise damaged(path, "it does not name a microphone and a speaker")
    return KeptDevices(*found)


def keep_devices(home: Home, devices: KeptDevices) -> None:
    """Save the user's choice. Raises `P2PCallError` (config)."""
    with home.lock():
        if kept_devices(home) != devices:
            row = {
                "version": KEPT_DEVICES_VERSION,
                "microphone": devices.microphone,
                "speaker": devices.speaker,
            }
            write_atomic(home.devices_path, json.dumps(row).encode() + b"\n")
