"""The devices that are chosen for all calls: `p2pcall devices --use` chooses them, an option goes before them."""

from typing import TYPE_CHECKING

from msgspec.structs import replace

from p2pcall.cli.stdout import say
from p2pcall.cli.values import usage
from p2pcall.errors import P2PCallError
from p2pcall.view.sanitize import clean

if TYPE_CHECKING:
    import typer

    from p2pcall.device.cards import Direction
    from p2pcall.engine.settings import CallSettings
    from p2pcall.store.home import Home
    from p2pcall.store.kept_devices import KeptDevices


def _is_named(ctx: "typer.Context", parameter: str) -> bool:
    """Whether the command line has this option."""
    source = ctx.get_parameter_source(parameter)
    return source is not None and source.name != "DEFAULT"


def with_chosen_devices(ctx: "typer.Context", settings: "CallSettings", home: "Home") -> "CallSettings":
    """The settings of a call, with what is chosen where no option names a device."""
    from p2pcall.store.kept_devices import kept_devices

    media, kept = settings.media, kept_devices(home)
    microphone = None if _is_named(ctx, "audio_in") or media.audio_in != "default" else kept.microphone
    speaker = None if _is_named(ctx, "audio_out") or media.audio_out != "default" else kept.speaker
    if settings.echo or (microphone is None and speaker is None):
        return settings
    return replace(settings, media=replace(media, chosen_in=microphone, chosen_out=speaker))


def chosen_names(ctx: "typer.Context") -> "KeptDevices":
    """What is chosen; nothing where there is no home to keep it in. P2PCallError (config) if it cannot be read."""
    from p2pcall.store.home import Home
    from p2pcall.store.kept_devices import KeptDevices, kept_devices

    try:
        home = Home.locate(ctx.obj.environ, ctx.params.get("home"))
    except P2PCallError:
        return KeptDevices()
    return kept_devices(home)


def instead_of_default(ctx: "typer.Context", audio_in: str, audio_out: str) -> tuple[str, str]:
    """Microphone and speaker of a command that is no call: what is named, else what is chosen. A chosen one that is not
    there is told, and the default one is used.
    """
    kept = chosen_names(ctx)
    microphone = None if _is_named(ctx, "audio_in") else kept.microphone
    speaker = None if _is_named(ctx, "audio_out") else kept.speaker
    return _or_default(ctx, microphone, "input") or audio_in, _or_default(ctx, speaker, "output") or audio_out


def _or_default(ctx: "typer.Context", name: str | None, direction: "Direction") -> str | None:
    from p2pcall.device.cards import WORD, find_card

    if name is not None:
        try:
            return find_card(name, direction).name
        except P2PCallError:
            text = f"the {WORD[direction]} {clean(name)} that you chose is not there: the default one is used"
            say(ctx.obj, text)
    return None


def choose_devices(ctx: "typer.Context", home: "Home", audio_in: str, audio_out: str) -> None:
    """`devices --use`: what is named is kept, `default` forgets; what is not named stays. P2PCallError (exit 6) if a
    device is not there.
    """
    from p2pcall.store.kept_devices import keep_devices, kept_devices

    named = {name: _is_named(ctx, name) for name in ("audio_in", "audio_out")}
    if not any(named.values()):
        raise usage(
            "--use keeps what --audio-in and --audio-out name", "p2pcall devices --use --audio-in NAME"
        )
    kept = kept_devices(home)
    if named["audio_in"]:
        kept = replace(kept, microphone=_card_name(audio_in, "input"))
    if named["audio_out"]:
        kept = replace(kept, speaker=_card_name(audio_out, "output"))
    keep_devices(home, kept)


def _card_name(spec: str, direction: "Direction") -> str | None:
    from p2pcall.device.cards import find_card
    from p2pcall.device.names import SOURCES

    if spec == "default":
        return None
    if spec in SOURCES or spec == "-":
        raise usage(f"--use keeps sound devices, and {spec} is none", "p2pcall devices")
    return find_card(spec, direction).name
