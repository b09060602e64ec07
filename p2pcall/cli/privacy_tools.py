"""Commands of `p2pcall privacy` that change no record: options in, one call, an exit code out."""

from typing import Annotated

import typer

from p2pcall.cli import options as opt
from p2pcall.cli.app_own import given_home


def privacy_settings(
    ctx: typer.Context,
    switch: Annotated[
        str | None, typer.Argument(metavar="SWITCH", help="What to show, or to change.")
    ] = None,
    value: Annotated[
        str | None, typer.Argument(metavar="VALUE", help="The choice; default takes it back.")
    ] = None,
    json: opt.Json = False,
    passphrase_file: opt.PassphraseFile = None,
    home: opt.HomeDir = None,
) -> int:
    """What is private, in a sentence each, and what is chosen; with a value, choose."""
    from p2pcall.cli import privacy_settings as settings

    if switch is None or value is None:
        return int(settings.show_settings(ctx.obj, given_home(ctx), switch, json=json))
    return int(settings.change_setting(ctx.obj, given_home(ctx), switch, value, json=json))


def privacy_bundle(
    ctx: typer.Context,
    file: Annotated[
        str | None, typer.Argument(metavar="FILE", help="Write it here, after asking; it is never sent.")
    ] = None,
    yes: opt.Yes = False,
    passphrase_file: opt.PassphraseFile = None,
    home: opt.HomeDir = None,
) -> int:
    """What helps to find a fault, without names, keys and addresses."""
    from p2pcall.cli.privacy_bundle import make_bundle

    return int(make_bundle(ctx.obj, given_home(ctx), file, yes=yes))
