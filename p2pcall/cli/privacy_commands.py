"""The commands of `p2pcall privacy`: options in, one call, an exit code out."""

import typer

from p2pcall.cli.privacy_tools import privacy_bundle, privacy_settings

privacy = typer.Typer(help="What is kept and shown of you, and what you choose of it.")
privacy.command("settings")(privacy_settings)
privacy.command("bundle")(privacy_bundle)
