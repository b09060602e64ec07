"""The documents say what the program does: no more, no less, and with the same numbers.

`p2pcall.1` is held to the command line (walked through Typer), to the events, the keys, the ways a call can
end and the exit codes; README and CHANGELOG to the commands and the version. `test_docs_protocol` does the
same for p2pcall-protocol(7). Left out: whether the sentences around all this are true.
"""

import json
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
import typer
from fakeenv import fake_env
from mdoc import MAN, PAGES, ROOT, Item, items, literals, marked, page, parts, tokens
from msgspec.structs import fields

from p2pcall import __version__, events
from p2pcall.cli import main, options
from p2pcall.cli.app import app
from p2pcall.cli.values import choice_metavar
from p2pcall.device import factory
from p2pcall.device.base import Device
from p2pcall.device.names import PICTURE_SUFFIXES, SOUND_SUFFIXES
from p2pcall.engine.call_status import NOTICE_S
from p2pcall.engine.devices import SCREEN_MODES
from p2pcall.engine.keys import CALL_KEYS
from p2pcall.engine.outcome import ENDINGS
from p2pcall.engine.policy import Announce, Answer
from p2pcall.errors import ExitCode, P2PCallError
from p2pcall.net.address import DEFAULT_PORT, MAX_PORT, parse_target
from p2pcall.proto.constants import LOST_TIMEOUT_S
from p2pcall.store import recordings
from p2pcall.store.calllog import CallLog, LoggedCall
from p2pcall.store.contacts import Contacts
from p2pcall.store.home import Home
from p2pcall.store.identity import load_or_create
from p2pcall.store.recording_keys import recording_key
from p2pcall.store.recordings import RecordingHead
from p2pcall.store.requests import CallRequest, CallRequests
from p2pcall.store.sealed import SealedWriter
from p2pcall.store.vault import Vault
from p2pcall.types import Profile, Reach
from p2pcall.view.hud import WINDOW_KEYS

# ---- p2pcall(1): the command line


def commands() -> dict[str, Any]:
    """Every command that does something, by its words."""
    found: dict[str, Any] = {}

    def walk(command: Any, path: tuple[str, ...]) -> None:
        below = getattr(command, "commands", None)
        if below is None:
            found[" ".join(path)] = command
            return
        if path and command.invoke_without_command:
            found[" ".join(path)] = command
        for name, sub in below.items():
            walk(sub, (*path, name))

    walk(typer.main.get_command(app), ())
    return found


COMMANDS = commands()
CHOICES = {"--answer": Answer, "--profile": Profile, "--reach": Reach, "--announce": Announce}


def all_options() -> dict[str, Any]:
    """Every option of every command; those that several commands take must be the same."""
    found: dict[str, Any] = {}
    for command in [typer.main.get_command(app), *COMMANDS.values()]:
        for param in command.params:
            if param.param_type_name == "option":
                name = param.opts[0]
                assert [name] == [*param.opts, *param.secondary_opts], "one name each"
                other: Any = found.setdefault(name, param)
                same = (param.default, param.is_flag, param.multiple, param.metavar)
                assert same == (other.default, other.is_flag, other.multiple, other.metavar), name
    return found


def options_section() -> dict[str, Item]:
    """The items of OPTIONS by the option's name."""
    found: dict[str, Item] = {}
    for item in items(page("p2pcall.1")["OPTIONS"]):
        assert item.head[0] == "Fl"
        name = f"-{item.head[1]}"
        assert name not in found, f"{name} is there twice"
        found[name] = item
    return found


def synopsis() -> dict[str, list[list[str]]]:
    """The lines of SYNOPSIS by command; "" is the program without one."""
    found: dict[str, list[list[str]]] = {}
    for block in "\n".join(page("p2pcall.1")["SYNOPSIS"]).split(".Nm\n")[1:]:
        lines = block.splitlines()
        name = lines.pop(0).removeprefix(".Cm ") if lines[0].startswith(".Cm ") else ""
        assert name not in found, f"{name} is there twice"
        found[name] = [tokens(line) for line in lines]
    return found


def test_synopsis_has_every_command_and_all_it_takes() -> None:
    documented = synopsis()
    assert documented.pop("") == [[".Op", "Fl", "-version"], [".Op", "Fl", "-help"]]
    assert documented.keys() == COMMANDS.keys()
    for name, command in COMMANDS.items():
        wanted = []
        for param in command.params:
            if param.param_type_name == "argument":
                wanted.append([".Ar", param.metavar] if param.required else [".Op", "Ar", param.metavar])
                continue
            value = [] if param.is_flag else ["Ar", "*" if param.opts[0] in CHOICES else param.metavar]
            wanted.append([".Op", "Fl", param.opts[0][1:], *value, *(["..."] if param.multiple else [])])
        given = [
            [*line[:4], "*", *line[5:]] if line[3:4] == ["Ar"] and f"-{line[2]}" in CHOICES else line
            for line in documented[name]
        ]
        assert sorted(given) == sorted(wanted), name


def test_every_command_is_described_and_nothing_else() -> None:
    heads = [" ".join(item.head[1:]) for item in items(page("p2pcall.1")["COMMANDS"])]
    assert sorted(heads) == sorted(COMMANDS)


def test_every_option_is_described_and_nothing_else() -> None:
    context = typer.main.get_command(app).make_context("p2pcall", [])
    documented = options_section()
    assert documented.keys() == {*all_options(), *context.help_option_names}
    for name, param in all_options().items():
        head = documented[name].head
        assert (len(head) == 2) == param.is_flag, name
        assert param.metavar in (
            [choice_metavar(CHOICES[name])] if name in CHOICES else [None, *head[3:4]]
        ), name


@pytest.mark.parametrize("name", sorted(all_options()))
def test_an_option_tells_its_default_and_its_choices(name: str) -> None:
    param = all_options()[name]
    text = " ".join(options_section()[name].body)
    told = re.search(r"Default: \.Cm (.*) \.$", text)
    default = param.show_default if isinstance(param.show_default, str) else param.default
    if default is None or param.is_flag:
        assert "Default:" not in text
    else:
        shown = f"{default:g}" if isinstance(default, float) else str(default)
        assert told is not None
        assert told[1] == shown
    for choice in CHOICES.get(name, ()):
        assert f".Cm {choice} " in f"{text} "


def test_options_name_what_they_take() -> None:
    described = options_section()
    assert f"0 to {MAX_PORT};" in " ".join(described["--port"].body)
    picture = described["--video-out"].body
    assert set(SCREEN_MODES) <= marked(picture, "Cm")
    with pytest.raises(P2PCallError) as wrong:
        factory.open_video_sink("nonsense")
    for told in (all_options()["--video-out"].help, wrong.value.hint):
        assert set(SCREEN_MODES) <= set(re.findall(r"\w+", told or ""))
    assert not {str(value) for value in options.ReservedMode} & marked(picture, "Cm")
    assert set(PICTURE_SUFFIXES) == marked(picture, "Pa")
    assert set(SOUND_SUFFIXES) == marked(described["--audio-out"].body, "Pa")


# ---- p2pcall(1): keys, events, ends, exit codes, environment


def test_every_key_is_described_and_nothing_else() -> None:
    assert [item.head[1] for item in items(page("p2pcall.1")["KEYS"])] == list(CALL_KEYS)


def test_the_keys_of_the_window_are_described() -> None:
    told = "\n".join(page("p2pcall.1")["WINDOW"])
    assert all(f".Ic {key}" in told for key, _ in WINDOW_KEYS)
    assert not {key for key, _ in WINDOW_KEYS} & set(CALL_KEYS), "a key means one thing"


def test_every_event_and_its_fields_are_described_and_nothing_else() -> None:
    section = page("p2pcall.1")["EVENTS"]
    common = [item.head[1] for item in items(section[: section.index(".Ss Events and their fields")])]
    assert common == list(events.to_dict(events.Ringing("x"), 0.0))[:3]
    found: dict[str, list[str]] = {}
    for item in items(parts(section, ".Ss")["Events and their fields"]):
        if item.depth == 1:
            current = found[item.head[1]] = []
            if ".Sx Figures ." in item.body:
                current.append("figures")
        else:
            current.append(item.head[1])
    wanted = {kind.event: sorted(f.name for f in fields(kind)) for kind in events.Event.__subclasses__()}
    assert {name: sorted(names) for name, names in found.items()} == wanted


def test_every_figure_is_described_and_nothing_else() -> None:
    listed = items(parts(page("p2pcall.1")["EVENTS"], ".Ss")["Figures"])
    assert [item.head[1] for item in listed] == [field.name for field in fields(events.Figures)]


def test_every_reason_is_described_with_its_exit_status() -> None:
    listed = items(parts(page("p2pcall.1")["EVENTS"], ".Ss")["Reasons"])
    found = {item.head[1]: int(item.head[3]) for item in listed}
    assert found == {reason: int(ending.exit) for reason, ending in ENDINGS.items()}
    lost = next(item for item in listed if item.head[1] == "lost")
    assert f"{LOST_TIMEOUT_S:g} seconds" in " ".join(lost.body)


def sealed_recording(home: Home) -> None:
    """One in the home that nothing was said in."""
    folder, key = (
        recordings.recordings_folder(home),
        recording_key(load_or_create(home, lambda n: bytes(range(n)))),
    )
    folder.mkdir(mode=0o700)
    party = recordings.Party("bob", "00")
    with recordings.make_recording(folder / "x.p2prec") as file:
        writer = SealedWriter(file, key, 1 << 40, lambda n: bytes(range(n)))
        writer.write(
            msgspec.json.encode(RecordingHead("call", "hash", party, party, 0.0, 0.0, 30)), last=True
        )


def test_records_of_lists_are_described(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = Home.at(tmp_path / "home")
    Contacts(home).pin("bob", bytes(range(32)), 0)
    CallLog(Vault(home)).add(LoggedCall(fake_env().clock.time(), True, "bob", "x", "contact", 1.0, "eof"))
    now = fake_env().clock.time()
    CallRequests(Vault(home)).add([CallRequest(bytes(32), "carol", now, now)])
    sealed_recording(home)
    monkeypatch.setattr(factory, "list_devices", lambda: [Device("camera", "Cam", True)])
    listed = items(parts(page("p2pcall.1")["EVENTS"], ".Ss")["Lists"])
    for item in listed:
        argv = [*item.head[1:], "--json"]
        if item.head[1] != "devices":
            argv += ["--home", str(home.data)]
        if item.head[1:] == ["contacts", "show"]:
            argv.append("bob")
        env = fake_env()
        assert main(argv, env) == ExitCode.OK
        env.stdout.seek(0)
        assert set(json.loads(env.stdout.readline())) == {"v", *marked(item.body, "Va")}
    assert {" ".join(item.head[1:]) for item in listed} == {
        *("id", "devices", "play", "contacts list", "contacts show", "history list", "privacy"),
        *("contacts requests", "privacy settings"),
    }


def test_every_exit_code_is_described_with_its_name() -> None:
    listed = items(page("p2pcall.1")["EXIT STATUS"])
    found = {int(item.head[1]): item.head[3] for item in listed}
    assert found == {int(code): code.name.lower().replace("_", "-") for code in ExitCode}
    assert all(item.body for item in listed)


def test_every_variable_of_our_own_is_described_and_nothing_else() -> None:
    sources = "\n".join(path.read_text() for path in (ROOT / "p2pcall").rglob("*.py"))
    documented = "\n".join(page("p2pcall.1")["ENVIRONMENT"])
    pattern = r"\bP2PCALL_[A-Z]+\b"
    assert set(re.findall(pattern, documented)) == set(re.findall(pattern, sources))


def test_notices_stay_as_long_as_the_page_says() -> None:
    assert NOTICE_S == 6
    assert "stays for six seconds" in " ".join(page("p2pcall.1")["KEYS"])


# ---- examples, README, CHANGELOG


def calls(text: str) -> Iterator[list[str]]:
    """The arguments of every `p2pcall` in a shell text."""
    for line in text.replace("\\\n", " ").splitlines():
        lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        argv: list[str] = []
        for word in [*lexer, ";"]:
            if set(word) <= set("|&;()<>"):
                if argv[:1] == ["p2pcall"]:
                    yield argv[1:]
                argv = []
            else:
                argv.append(word)


def check_call(argv: Sequence[str]) -> str:
    """Parse a command as the program would; its name."""
    name = max((name for name in COMMANDS if " ".join([*argv, ""]).startswith(f"{name} ")), key=len)
    params = COMMANDS[name].make_context(name, list(argv[len(name.split()) :])).params
    if name in ("listen", "dial"):
        options.call_settings(params)
    if "target" in params:
        parse_target(params["target"])
    return name


def test_examples_of_the_manual_parse() -> None:
    shown = ["\n".join(block) for block in literals(page("p2pcall.1")["EXAMPLES"])]
    names = [check_call(argv) for text in shown for argv in calls(text)]
    assert {"demo", "listen", "dial", "peers"} <= set(names)
    assert len(names) >= len(shown)


def readme() -> str:
    return (ROOT / "README.md").read_text()


def shell_blocks() -> str:
    return "\n".join(re.findall(r"^```sh\n(.*?)^```", readme(), re.DOTALL | re.MULTILINE))


def test_examples_of_the_readme_parse() -> None:
    names = [check_call(argv) for argv in calls(shell_blocks())]
    assert names.count("listen") >= 3
    assert names.count("dial") >= 3


def always_on() -> str:
    return (ROOT / "docs" / "always-on.md").read_text()


def service() -> dict[str, str]:
    """The settings of the unit; those that come twice are an error of their own."""
    lines = (ROOT / "docs" / "p2pcall.service").read_text().splitlines()
    pairs = [line.split("=", 1) for line in lines if "=" in line and not line.startswith("#")]
    assert len({name for name, _ in pairs}) == len(pairs)
    return dict(pairs)


def test_the_recipe_for_a_machine_without_a_screen_parses() -> None:
    shown = re.findall(r"^```sh\n(.*?)^```", always_on(), re.DOTALL | re.MULTILINE)
    names = [check_call(argv) for text in shown for argv in calls(text) if argv]
    assert names == ["id", "listen"]


def test_the_unit_answers_contacts_alone_and_keeps_the_sound() -> None:
    unit = service()
    program, *argv = shlex.split(unit["ExecStart"])
    assert program == "%h/.local/bin/p2pcall"
    assert check_call(argv) == "listen"
    assert {"--answer", "--reach", "contacts"} <= set(argv)
    assert "anyone" not in argv
    assert not {"PrivateDevices", "RestrictRealtime", "MemoryDenyWriteExecute"} & unit.keys()
    assert {"AF_INET", "AF_INET6", "AF_UNIX", "AF_NETLINK"} == set(unit["RestrictAddressFamilies"].split())


def test_firewalls_are_told_the_ports_that_are_used() -> None:
    for text in (readme(), always_on()):
        assert f"sudo ufw allow {DEFAULT_PORT}/udp && sudo ufw allow 5353/udp" in text
    assert f"--add-port={DEFAULT_PORT}/udp --add-service=mdns" in always_on()
    assert f"udp dport '{{ 5353, {DEFAULT_PORT} }}' accept" in always_on()


def test_readme_installs_where_pip_may_not_touch_the_system() -> None:
    assert "pipx install .\n" in re.sub(r" +#.*", "", shell_blocks())
    bare = re.findall(r"^(?:sudo )?pip3? install.*", shell_blocks(), re.MULTILINE)
    assert bare == [], "PEP 668: Debian 12 refuses it"


def test_readme_names_the_two_commands() -> None:
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    for target in ("demo", "test"):
        assert target in targets
        assert re.search(rf"^make {target}\b", shell_blocks(), re.MULTILINE)


def test_readme_names_options_that_there_are() -> None:
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", readme()))
    assert named <= {*all_options(), "--help"}


def test_readme_names_the_keys_that_there_are() -> None:
    line = re.search(r"In a call: (.*?)\. ", readme(), re.DOTALL)
    assert line is not None
    assert set(re.findall(r"`(.+?)`", line[1])) <= set(CALL_KEYS)


def test_links_of_the_readme_lead_somewhere() -> None:
    links = re.findall(r"\]\(([^)#]+)\)", readme())
    assert "docs/call-xterm.png" in links
    missing = [link for link in links if "://" not in link and not (ROOT / link).exists()]
    assert missing == []


def test_newest_version_of_the_changelog_is_this_one() -> None:
    heads = re.findall(r"^## (\S+) - (\S+)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert heads[0][0] == __version__
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\d", date) for _, date in heads)


@pytest.mark.skipif(shutil.which("mandoc") is None, reason="mandoc is not installed")
def test_the_pages_are_clean() -> None:
    command = ["mandoc", "-Tlint", *PAGES]
    result = subprocess.run(command, cwd=MAN, capture_output=True, text=True, check=False)
    assert result.stdout + result.stderr == ""
