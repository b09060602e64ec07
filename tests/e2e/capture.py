"""What a stranger on the cable sees: everything that passes one interface, caught by tshark while it passes.

`Capture(p2p, net, "a")` is ready when it is made: it has seen a probe that was sent over the cable. `frames` are
all frames so far, whole; `datagrams` the UDP ones among them that are ours, taken apart.
"""

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from harness import P2P, WAIT_S
from netns import INTERFACE, NetnsPair, Side

PROBE = b"probe"
PROBE_PORT = 9
PROBE_S = 0.2
TRIES = 50
FILE_HEADER_BYTES = 24
RECORD_HEADER = struct.Struct("<IIII")
ETHERNET_BYTES = 14
IPV4, UDP = 0x0800, 17


@dataclass(frozen=True, slots=True)
class Datagram:
    """One UDP datagram over IPv4."""

    at: float
    """When it passed, in seconds."""
    source: tuple[str, int]
    target: tuple[str, int]
    payload: bytes


class Capture:
    """tshark on one side of the cable."""

    def __init__(
        self, p2p: Callable[..., P2P], net: NetnsPair, side: Side, interface: str = INTERFACE
    ) -> None:
        """`interface`: another one than the cable, on which the side sends to itself."""
        options = ("-i", interface, "-w", "-", "-F", "pcap", "-q")
        self._tshark = p2p(*options, program=["tshark"], net=net, side=side, name=f"tshark-{side}")
        other: Side = "b" if side == "a" else "a"
        sender = other if interface == INTERFACE else side
        script = f"printf {PROBE.decode()} > /dev/udp/{net.ipv4[side]}/{PROBE_PORT}"
        for _ in range(TRIES):
            net.output(sender, ["bash", "-c", script])
            try:
                self._tshark.wait_until(lambda: PROBE in self._tshark.stdout, "probe", PROBE_S)
                return
            except AssertionError:
                if self._tshark.exit_code is not None:
                    raise
        raise AssertionError(f"tshark saw nothing\n{self._tshark.report()}")

    def wait(self, true: Callable[[list[Datagram]], bool], what: str, timeout: float = WAIT_S) -> None:
        """Wait until the datagrams so far are such."""
        self._tshark.wait_until(lambda: true(self.datagrams), what, timeout)

    def stop(self) -> None:
        """See no more; what was seen stays."""
        self._tshark.stop()

    @property
    def frames(self) -> list[bytes]:
        """Every frame so far, as it was on the cable."""
        return [frame for _, frame in self._frames(bytes(self._tshark.stdout))]

    @property
    def datagrams(self) -> list[Datagram]:
        """The UDP datagrams so far that are neither probes nor multicast."""
        frames = self._frames(bytes(self._tshark.stdout))
        return [datagram for at, frame in frames if (datagram := _datagram(at, frame)) is not None]

    @staticmethod
    def _frames(data: bytes) -> Iterator[tuple[float, bytes]]:
        at = FILE_HEADER_BYTES
        while at + RECORD_HEADER.size <= len(data):
            seconds, microseconds, length, _ = RECORD_HEADER.unpack_from(data, at)
            at += RECORD_HEADER.size
            if at + length > len(data):
                return
            yield seconds + microseconds / 1e6, data[at : at + length]
            at += length


def _datagram(at: float, frame: bytes) -> Datagram | None:
    if int.from_bytes(frame[12:14], "big") != IPV4:
        return None
    packet = frame[ETHERNET_BYTES:]
    header_bytes = (packet[0] & 15) * 4
    if packet[9] != UDP:
        return None
    source, target = (".".join(map(str, packet[place : place + 4])) for place in (12, 16))
    source_port, target_port, length, _ = struct.unpack_from(">HHHH", packet, header_bytes)
    payload = packet[header_bytes + 8 : header_bytes + length]
    if target_port == PROBE_PORT or target.startswith("224."):
        return None
    return Datagram(at, (source, source_port), (target, target_port), payload)
