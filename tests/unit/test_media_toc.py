"""How long an Opus packet says that it is."""

from p2pcall.media.toc import TICKS_BY_TOC, packet_ticks


def test_packets_of_ten_to_sixty_milliseconds_have_their_ticks() -> None:
    single = [packet_ticks(bytes([config << 3])) for config in range(32)]
    assert single == [1, 2, 4, 6] * 3 + [1, 2] * 2 + [0, 0, 1, 2] * 4
    assert packet_ticks(bytes([19 << 3 | 1, 0])) == 4, "two of 20 ms"
    assert packet_ticks(bytes([18 << 3 | 2, 0])) == 2
    assert packet_ticks(bytes([15 << 3 | 3, 3])) == 6
    assert packet_ticks(bytes([16 << 3 | 3, 0x80 | 4])) == 1, "the count has six bits"
    assert all(packet_ticks(bytes([toc, 7])) == TICKS_BY_TOC[toc] for toc in range(256) if toc & 3 != 3)


def test_what_no_frame_of_ours_is_has_none() -> None:
    for odd in (b"", b"\x03", bytes([3, 0]), bytes([15 << 3 | 3, 4]), bytes([3 << 3 | 1]), bytes([16 << 3])):
        assert packet_ticks(odd) == 0
