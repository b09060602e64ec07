"""Devices as a call finds them before it begins: what is missing is a warning, or an error if it was asked for."""

from functools import partial

import pytest
from fakeenv import fake_env
from virtual import run_virtual

from p2pcall.device import camera
from p2pcall.engine.devices import open_devices
from p2pcall.engine.settings import CallSettings, MediaSettings
from p2pcall.errors import ExitCode, P2PCallError


def test_a_missing_default_camera_is_a_warning_and_a_named_one_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(camera, "open_camera", partial(camera.open_camera, platform="linux"))
    monkeypatch.setattr(camera, "list_v4l2", list)

    async def scene(video_in: str | None) -> list[str]:
        settings = CallSettings("me", MediaSettings("silence", "none", video_in, "none"))
        devices = open_devices(settings, fake_env())
        devices.close()
        return [warning.slug for warning in devices.warnings]

    with pytest.raises(P2PCallError) as caught:
        run_virtual(lambda: scene("camera:no such camera"))
    assert caught.value.exit is ExitCode.DEVICE
    assert run_virtual(lambda: scene(None)) == ["no-camera"]
    assert run_virtual(lambda: scene("none")) == []
