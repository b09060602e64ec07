"""Two machines on one: network namespaces joined by a cable (a veth pair), with loss and pulled plugs.

    with NetnsPair() as net:
        server = net.run("b", ["p2pcall", "listen"], stdout=subprocess.PIPE)
        net.set_loss(10)
        net.link("a", up=False)

Side `a` is 10.77.0.1 and fe80::a, side `b` is 10.77.0.2 and fe80::b, both on `eth0`, with a route for
multicast and no way out (a name that is no mDNS name fails at once). mDNS goes through the cable. Loss is
iptables' `statistic` match on arrival, in both directions (kernels without netem have that). Programs that
were started with `run` and still run when the pair is taken down are ended, each by its own pid. Needs root.
Left out: delay, jitter, bandwidth.
"""

import contextlib
import itertools
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Literal, Self

Side = Literal["a", "b"]
SIDES: tuple[Side, Side] = ("a", "b")
INTERFACE = "eth0"
PROGRAMS = ("ip", "iptables", "ip6tables")
END_GRACE_S = 5.0

_numbers = itertools.count()


def missing() -> str | None:
    """Why there can be no namespaces here, or None if there can be."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    absent = [program for program in PROGRAMS if shutil.which(program) is None]
    if absent:
        return f"{', '.join(absent)} missing: apt-get install iproute2 iptables"
    name = f"p2pcheck{os.getpid()}"
    try:
        _run("ip", "netns", "add", name)
        _run("ip", "netns", "del", name)
    except RuntimeError as error:
        return f"no network namespaces here: {error}"
    return None


def _run(*argv: str) -> str:
    result = subprocess.run(argv, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise RuntimeError(f"{' '.join(argv)}: {result.stderr.strip() or result.returncode}")
    return result.stdout


def output_of(process: "subprocess.Popen[Any]") -> IO[Any]:
    """The pipe of a process that was started with `stdout=PIPE`."""
    if process.stdout is None:
        raise ValueError("started without stdout=PIPE")
    return process.stdout


def end(process: "subprocess.Popen[Any]") -> None:
    """End a process by its own pid, politely first, and collect it."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(END_GRACE_S)
        except subprocess.TimeoutExpired:
            process.kill()
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream is not None:
            with contextlib.suppress(BrokenPipeError):
                stream.close()
    process.wait()


class NetnsPair:
    """The two namespaces; made on entry, gone on exit."""

    def __init__(self) -> None:
        tag = f"p2p{os.getpid()}x{next(_numbers)}"
        self.names: dict[Side, str] = {"a": f"{tag}a", "b": f"{tag}b"}
        self.ipv4: dict[Side, str] = {"a": "10.77.0.1", "b": "10.77.0.2"}
        self.ipv6: dict[Side, str] = {side: f"fe80::{side}%{INTERFACE}" for side in SIDES}
        self._started: list[subprocess.Popen[Any]] = []

    def __enter__(self) -> Self:
        try:
            for side in SIDES:
                _run("ip", "netns", "add", self.names[side])
                self._ip(side, "link", "set", "lo", "up")
            a, b = (self.names[side] for side in SIDES)
            cable = ("type", "veth", "peer", "name", INTERFACE, "netns", b)
            _run("ip", "link", "add", INTERFACE, "netns", a, *cable)
            for side in SIDES:
                self._ip(side, "link", "set", INTERFACE, "addrgenmode", "none")
                self._ip(side, "link", "set", INTERFACE, "up")
                self._address(side)
        except RuntimeError:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _ip(self, side: Side, *argv: str) -> str:
        return _run("ip", "-n", self.names[side], *argv)

    def _address(self, side: Side) -> None:
        self._ip(side, "addr", "add", f"{self.ipv4[side]}/24", "brd", "+", "dev", INTERFACE)
        self._ip(side, "addr", "add", f"fe80::{side}/64", "dev", INTERFACE, "nodad")
        self._ip(side, "route", "add", "224.0.0.0/4", "dev", INTERFACE)

    def argv(self, side: Side, argv: Sequence[str]) -> list[str]:
        """The command that runs `argv` on that side; the pid of the one is the pid of the other."""
        return ["ip", "netns", "exec", self.names[side], *argv]

    def run(self, side: Side, argv: Sequence[str], **options: Any) -> "subprocess.Popen[Any]":
        """Start a program on that side; `options` are those of `Popen`."""
        process = subprocess.Popen(self.argv(side, argv), **options)
        self._started.append(process)
        return process

    def output(self, side: Side, argv: Sequence[str], env: Mapping[str, str] | None = None) -> str:
        """Run a program on that side to its end; its standard output. Raises if it fails."""
        command = self.argv(side, argv)
        result = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
        if result.returncode != 0:
            raise RuntimeError(f"{' '.join(argv)}: exit {result.returncode}: {result.stderr.strip()}")
        return result.stdout

    def set_loss(self, percent: float) -> None:
        """Drop this share of the UDP datagrams that arrive, on both sides; 0 mends the cable."""
        for side in SIDES:
            for tables in ("iptables", "ip6tables"):
                self.output(side, [tables, "-w", "-F", "INPUT"])
                if percent > 0:
                    match = ["-i", INTERFACE, "-p", "udp", "-m", "statistic", "--mode", "random"]
                    chance = ["--probability", f"{percent / 100:.6f}", "-j", "DROP"]
                    self.output(side, [tables, "-w", "-A", "INPUT", *match, *chance])

    def dropped(self, side: Side) -> int:
        """How many datagrams `set_loss` has dropped on that side since it was last called."""
        total = 0
        for tables in ("iptables", "ip6tables"):
            for line in self.output(side, [tables, "-w", "-L", "INPUT", "-v", "-x", "-n"]).splitlines():
                if "DROP" in line and "statistic" in line:
                    total += int(line.split()[0])
        return total

    def link(self, side: Side, *, up: bool) -> None:
        """Pull the plug of that side, or put it back (with its addresses and routes)."""
        if not up:
            self._ip(side, "link", "set", INTERFACE, "down")
            return
        self._ip(side, "link", "set", INTERFACE, "up")
        self._ip(side, "addr", "flush", "dev", INTERFACE)
        self._address(side)

    def close(self) -> None:
        """End what still runs, remove the namespaces. What is gone already is no error."""
        for process in self._started:
            end(process)
        self._started.clear()
        for name in self.names.values():
            subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)

    @contextlib.contextmanager
    def avahi(self, side: Side, directory: Path) -> Iterator[dict[str, str]]:
        """Run an Avahi daemon on that side, with a bus of its own; gives the environment for `avahi-browse`.

        Raises RuntimeError if it is not ready in time, with what it said.
        """
        directory.mkdir(parents=True, exist_ok=True)
        bus = f"unix:path={directory}/bus"
        (directory / "bus.conf").write_text(_BUS_CONFIG.format(address=bus))
        (directory / "avahi.conf").write_text(_AVAHI_CONFIG.format(side=side))
        environ = dict(os.environ) | {"DBUS_SYSTEM_BUS_ADDRESS": bus}
        launch = ["dbus-daemon", f"--config-file={directory}/bus.conf", "--nofork", "--print-address=1"]
        log = (directory / "avahi.log").open("wb")
        with log, contextlib.ExitStack() as stack:
            dbus = self.run(side, launch, stdout=subprocess.PIPE, stderr=log)
            stack.callback(end, dbus)
            output_of(dbus).readline()
            # The pid file has a fixed place; `ip netns exec` gives a mount namespace, so it can be hidden.
            hide = "mkdir -p /run/avahi-daemon && mount -t tmpfs none /run/avahi-daemon && exec avahi-daemon"
            options = f"--no-drop-root --no-chroot --no-rlimits --debug -f {directory}/avahi.conf"
            shell = ["sh", "-c", f"{hide} {options}"]
            daemon = self.run(side, shell, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            stack.callback(end, daemon)
            said = b""
            for line in output_of(daemon):
                said += line
                if b"startup complete" in line:
                    break
            else:
                raise RuntimeError(f"avahi-daemon did not start: {said.decode(errors='replace')}")
            drain = threading.Thread(target=output_of(daemon).read, name="avahi-output")
            drain.start()
            stack.callback(drain.join)
            stack.callback(daemon.terminate)
            yield environ


_BUS_CONFIG = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>system</type><listen>{address}</listen><auth>EXTERNAL</auth>
<policy context="default"><allow user="*"/><allow own="*"/><allow send_type="method_call"/>
<allow send_destination="*"/><allow receive_sender="*"/></policy></busconfig>
"""

_AVAHI_CONFIG = """[server]
host-name=witness-{side}
use-ipv4=yes
use-ipv6=yes
allow-interfaces=eth0
[publish]
publish-workstation=no
[wide-area]
enable-wide-area=no
"""
