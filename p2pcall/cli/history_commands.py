"""The commands of `p2pcall history`: options in, one call, an exit code out."""

from typing import Annotated, Final

import typer

from p2pcall.cli import options as opt
from p2pcall.cli.app_own import given_home
from p2pcall.cli.values import whole

LISTED: Final = 50
"""Calls that are listed if nothing is said: about what a terminal shows without scrolling back."""
MOST_LISTED: Final = 1_000_000
"""Most that can be asked for: more calls than anybody has in a month; `--all` has no limit."""

history = typer.Typer(help="The calls of the last days: who, when, how long, how they ended.")


@history.command("list")
def history_list(
    ctx: typer.Context,
    last: Annotated[
        int,
        typer.Option(
            "--last",
            metavar="N",
            parser=whole("--last", 1, MOST_LISTED),
            help="How many calls, from the newest on.",
        ),
    ] = LISTED,
    everything: Annotated[bool, typer.Option("--all", help="All calls that are kept.")] = False,
    json: opt.Json = False,
    passphrase_file: opt.PassphraseFile = None,
    home: opt.HomeDir = None,
) -> int:
    """The newest calls, and until when each is kept."""
    from p2pcall.cli.history import list_calls

    return int(list_calls(ctx.obj, given_home(ctx), None if everything else last, json=json))


@history.command("export")
def history_export(
    ctx: typer.Context, passphrase_file: opt.PassphraseFile = None, home: opt.HomeDir = None
) -> int:
    """All calls that are kept, as one JSON document on stdout."""
    from p2pcall.cli.history import export_calls

    return int(export_calls(ctx.obj, given_home(ctx)))


@history.command("erase")
def history_erase(
    ctx: typer.Context,
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="Only the calls with this contact or fingerprint.")
    ] = None,
    yes: opt.Yes = False,
    passphrase_file: opt.PassphraseFile = None,
    home: opt.HomeDir = None,
) -> int:
    """Erase the log, or what it has about one person."""
    from p2pcall.cli.history import erase_calls

    return int(erase_calls(ctx.obj, given_home(ctx), name, yes=yes))


@history.command("keep")
def history_keep(
    ctx: typer.Context,
    days: Annotated[str, typer.Argument(metavar="DAYS", help="0 to 30; 0: calls are not logged.")],
    passphrase_file: opt.PassphraseFile = None,
    home: opt.HomeDir = None,
) -> int:
    """For how many days calls are kept."""
    from p2pcall.cli.history import keep_calls

    return int(keep_calls(ctx.obj, given_home(ctx), days))
