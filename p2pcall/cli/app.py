"""The commands: options in, one call into the engine, an exit code out.

Engine, devices and discovery are imported inside commands, so that `--version` and `--help` stay quick.
"""

from collections.abc import Sequence
from copy import copy
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from p2pcall import __version__
from p2pcall.cli import options as opt
from p2pcall.cli.app_own import given_home as _home
from p2pcall.cli.app_own import id_commands
from p2pcall.cli.contacts_commands import contacts
from p2pcall.cli.exchange_commands import with_exchange
from p2pcall.cli.history_commands import history
from p2pcall.cli.privacy_commands import privacy
from p2pcall.engine.policy import RING_TIMEOUT_S
from p2pcall.pairing.constants import CODE_WORDS
from p2pcall.types import Profile

if TYPE_CHECKING:
    from p2pcall.store.home import Home

DEMO_SECONDS: Final = 8.0
"""Enough to hear the whole sung phrase, and to read the text beside the picture."""

SHORT_HELP: Final = """\
p2pcall: calls from machine to machine, encrypted end to end, drawn in the terminal

  p2pcall listen           wait for calls; rings, asks, connects
  p2pcall dial NAME        call somebody on this network, or a host
  p2pcall peers            who is there now

  p2pcall demo             try it on this machine alone
  p2pcall --help           everything else
"""

app = typer.Typer(
    name="p2pcall",
    add_completion=False,
    rich_markup_mode=None,
    no_args_is_help=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="One-to-one encrypted voice and video calls, machine to machine, with no server and no account.",
)
app.add_typer(with_exchange(contacts), name="contacts")
app.add_typer(history, name="history")
app.add_typer(id_commands, name="id")
app.add_typer(privacy, name="privacy")


def called(command: Any) -> str:
    """The word that a command is called by."""
    return str(command.name or getattr(command.callback, "__name__", ""))


def app_for(argv: Sequence[str]) -> typer.Typer:
    """`app` with the one command that `argv` begins with; with all of them if it begins with none.

    To build them all takes several times as long, and this one needs to know of no other.
    """
    meant = [one for one in app.registered_commands if [called(one)] == list(argv[:1])]
    if not meant:
        return app
    alone = copy(app)
    alone.registered_commands, alone.registered_groups = meant, []
    return alone


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"p2pcall {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def _main(
    ctx: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    if ctx.invoked_subcommand is None:
        typer.echo(SHORT_HELP, nl=False)


def _unlocked(ctx: typer.Context) -> "Home":
    """The home, with a sealed identity open: nobody is asked for a passphrase any more once the call begins."""
    from p2pcall.store.identity import unlock

    home = _home(ctx, makes=True)
    unlock(home)
    return home


@app.command()
def listen(
    ctx: typer.Context,
    name: opt.Name = None,
    port: opt.Port = None,
    bind: opt.Bind = None,
    answer: opt.WhoIsAnswered = None,
    reach: opt.WhoCanRing = None,
    announce: opt.ToldTo = None,
    announce_on: opt.ToldOn = None,
    once: Annotated[bool, typer.Option("--once", help="Exit after one call.")] = False,
    echo: Annotated[
        bool,
        typer.Option("--echo", help="Send back what comes: an echo service."),
    ] = False,
    ring_on: opt.RingOn = None,
    max_duration: opt.MaxDuration = None,
    confirm: opt.Confirm = False,
    push_to_talk: opt.TalkKey = False,
    profile: opt.SentFor = Profile.NORMAL,
    audio_in: opt.AudioIn = "default",
    audio_out: opt.AudioOut = "default",
    video_in: opt.VideoIn = None,
    video_out: opt.VideoOut = "auto",
    sound_only: opt.SoundOnly = False,
    record: opt.Record = None,
    no_audio: opt.NoAudio = False,
    no_video: opt.NoVideo = False,
    loop: opt.Loop = False,
    hangup_on_eof: opt.HangupOnEof = False,
    force: opt.Force = False,
    raw_audio: opt.RawAudio = False,
    audio_format: opt.AudioFormat = None,
    audio_track: opt.AudioTrack = None,
    video_track: opt.VideoTrack = None,
    fps: opt.Fps = None,
    json: opt.Json = False,
    quiet: opt.Quiet = False,
    plain: opt.Plain = False,
    passphrase_file: opt.PassphraseFile = None,
    home: opt.HomeDir = None,
) -> int:
    """Wait for calls: ring, ask, connect, and wait for the next."""
    settings = opt.call_settings(ctx.params)
    import asyncio

    from p2pcall.cli.chosen_devices import with_chosen_devices
    from p2pcall.cli.output import CommandOutput
    from p2pcall.engine import run

    place = _unlocked(ctx)
    settings = with_chosen_devices(ctx, settings, place)
    with CommandOutput(ctx.obj, json=json, quiet=quiet, plain=plain, holds=push_to_talk) as output:
        return int(asyncio.run(run.run_listen(ctx.obj, settings, place, output)).exit)


@app.command()
def dial(
    ctx: typer.Context,
    target: Annotated[
        str,
        typer.Argument(
            metavar="TARGET",
            help="A contact, a name on this network, host, host:port or [v6]:port; CONTACT@host, KEY-URI@host.",
        ),
    ],
    name: opt.Name = None,
    port: opt.Port = None,
    bind: opt.Bind = None,
    timeout: opt.Timeout = RING_TIMEOUT_S,
    pin_file: opt.PinFile = None,
    pin_command: opt.PinCommand = None,
    max_duration: opt.MaxDuration = None,
    confirm: opt.Confirm = False,
    push_to_talk: opt.TalkKey = False,
    profile: opt.SentFor = Profile.NORMAL,
    audio_in: opt.AudioIn = "default",
    audio_out: opt.AudioOut = "default",
    video_in: opt.VideoIn = None,
    video_out: opt.VideoOut = "auto",
    sound_only: opt.SoundOnly = False,
    record: opt.Record = None,
    no_audio: opt.NoAudio = False,
    no_video: opt.NoVideo = False,
    loop: opt.Loop = False,
    hangup_on_eof: opt.HangupOnEof = False,
    force: opt.Force = False,
    raw_audio: opt.RawAudio = False,
    audio_format: opt.AudioFormat = None,
    audio_track: opt.AudioTrack = None,
    video_track: opt.VideoTrack = None,
    fps: opt.Fps = None,
    json: opt.Json = False,
    quiet: opt.Quiet = False,
    plain: opt.Plain = False,
    passphrase_file: opt.PassphraseFile = None,
    home: opt.HomeDir = None,
) -> int:
    """Call a contact, a name on this network, or an address."""
    settings = opt.call_settings(ctx.params)
    import asyncio

    from p2pcall.cli.chosen_devices import with_chosen_devices
    from p2pcall.cli.output import CommandOutput
    from p2pcall.engine import run

    place = _unlocked(ctx)
    settings = with_chosen_devices(ctx, settings, place)
    with CommandOutput(ctx.obj, json=json, quiet=quiet, plain=plain, holds=push_to_talk) as output:
        return int(asyncio.run(run.run_dial(ctx.obj, settings, place, output, target)).exit)


@app.command()
def peers(
    ctx: typer.Context,
    watch: Annotated[bool, typer.Option("--watch", help="Keep looking until Ctrl-C.")] = False,
    json: opt.Json = False,
    passphrase_file: opt.PassphraseFile = None,
    home: opt.HomeDir = None,
) -> int:
    """Who can be called on this network now."""
    import asyncio

    from p2pcall.cli import lan

    return int(asyncio.run(lan.list_peers(ctx.obj, _home(ctx), watch=watch, json=json)))


@app.command()
def invite(
    ctx: typer.Context,
    name: opt.Name = None,
    kept_as: opt.KeptAs = None,
    words: opt.CodeWords = CODE_WORDS,
    port: opt.Port = None,
    bind: opt.Bind = None,
    json: opt.Json = False,
    passphrase_file: opt.PassphraseFile = None,
    home: opt.HomeDir = None,
) -> int:
    """Make a code by which somebody and you become contacts."""
    from p2pcall.cli import first_contact

    return int(first_contact.invite_somebody(ctx.obj, _unlocked(ctx), ctx.params))


@app.command()
def join(
    ctx: typer.Context,
    code: Annotated[
        str | None,
        typer.Argument(
            metavar="CODE", help="The code that you were told, the invite's URI, or - (a line of stdin)."
        ),
    ] = None,
    address: Annotated[
        str | None,
        typer.Argument(
            metavar="ADDRESS", help="Where the invite is, if not on this network: host or host:port."
        ),
    ] = None,
    name: opt.Name = None,
    kept_as: opt.KeptAs = None,
    bind: opt.Bind = None,
    json: opt.Json = False,
    passphrase_file: opt.PassphraseFile = None,
    home: opt.HomeDir = None,
) -> int:
    """Join an invite by its code: you become contacts of each other."""
    from p2pcall.cli import first_contact

    return int(first_contact.join_somebody(ctx.obj, _unlocked(ctx), ctx.params))


@app.command()
def demo(
    ctx: typer.Context,
    seconds: opt.DemoLength = DEMO_SECONDS,
    confirm: opt.Confirm = False,
    profile: opt.SentFor = Profile.NORMAL,
    video_out: opt.VideoOut = "auto",
    json: opt.Json = False,
    plain: opt.Plain = False,
) -> int:
    """Try it: a whole call on this machine, needing no hardware.

    A second process is started, found, dialled and measured.
    """
    from p2pcall.cli.demo import run_demo

    return int(
        run_demo(
            ctx.obj,
            seconds=seconds,
            video_out=video_out,
            confirm=confirm,
            profile=profile,
            json=json,
            plain=plain,
        )
    )


@app.command()
def devices(
    ctx: typer.Context,
    test: Annotated[
        bool, typer.Option("--test", help="Record three seconds, play them back, and judge them.")
    ] = False,
    use: Annotated[
        bool, typer.Option("--use", help="Use these from now on, in calls that name no others.")
    ] = False,
    audio_in: opt.AudioIn = "default",
    audio_out: opt.AudioOut = "default",
    json: opt.Json = False,
    home: opt.HomeDir = None,
) -> int:
    """Microphones, speakers and cameras, as options name them.

    And whether a window opens. With --test, whether microphone and speaker work.
    """
    from p2pcall.cli import chosen_devices

    if use:
        chosen_devices.choose_devices(ctx, _home(ctx), audio_in, audio_out)
    if test:
        import asyncio

        from p2pcall.cli.sound_test import run_sound_test

        audio_in, audio_out = chosen_devices.instead_of_default(ctx, audio_in, audio_out)
        return int(asyncio.run(run_sound_test(ctx.obj, audio_in, audio_out, json=json)))
    if not use:
        opt.check_untested(audio_in, audio_out)
    from p2pcall.cli.records import show_devices

    return int(show_devices(ctx.obj, chosen_devices.chosen_names(ctx), json=json))


@app.command()
def play(
    ctx: typer.Context,
    file: Annotated[
        str | None, typer.Argument(metavar="FILE", help="A recording; without one, all of them are listed.")
    ] = None,
    to: Annotated[
        str | None,
        typer.Option(
            "--to", metavar="OUT", show_default=False, help="Write it to a .wav, .mka or .mkv file."
        ),
    ] = None,
    audio_out: opt.AudioOut = "default",
    force: opt.Force = False,
    json: opt.Json = False,
    plain: opt.Plain = False,
    passphrase_file: opt.PassphraseFile = None,
    home: opt.HomeDir = None,
) -> int:
    """Play a recording of a call, or export it."""
    from p2pcall.cli import play as commands

    if file is None:
        return int(commands.list_recordings(ctx.obj, _home(ctx), json=json))
    if to is not None:
        return int(commands.export(ctx.obj, _home(ctx), file, to, force=force, json=json))
    from p2pcall.cli.chosen_devices import instead_of_default

    _, speaker = instead_of_default(ctx, "default", audio_out)
    return int(commands.play_recording(ctx.obj, _home(ctx), file, speaker, json=json, plain=plain))
