"""p2pcall-security(7) has no number that is not the code's: each is computed here from the constants.

What stands in `FACTS` must be on the page, and when all of it is taken out of the page, no digit may be left.
PROMISES and LAW quote README and laws: `test_docs_promises` has them.
Left out: whether the sentences around the numbers are true; each rule of security has a test of its own.
"""

import re
from math import log2

from mdoc import ROOT, items, page, parts, tokens

from p2pcall.codec import video
from p2pcall.engine.caller import REFUSED_GRACE_S
from p2pcall.engine.policy import RING_TIMEOUT_S
from p2pcall.engine.send_pacer import HOLD_PER_TICK_S, HOLD_S, TICK_HOLD_S
from p2pcall.errors import ExitCode
from p2pcall.media import constants as media
from p2pcall.media.voice_control import VoiceControl
from p2pcall.net.private_announcer import SPREAD_S
from p2pcall.pairing import constants as pairing
from p2pcall.proto import constants as proto
from p2pcall.proto.presence import RECORD_VALUES
from p2pcall.proto.wire import CONFIRMATION_BYTES, PART_BYTES, RESPONSE_BYTES, PatternId
from p2pcall.store.rotation import FORMER_DAYS
from p2pcall.store.seal import MEMORY_KIB

AROUND_RECORD = proto.DATA_HEADER_BYTES + proto.TAG_BYTES
VOICE_PER_S = 1000 // media.FRAME_MS


def power(exponent: float) -> str:
    """The next power of two below, as the page writes it."""
    return f"2^{int(exponent // 1)}"


def times(chances: float) -> int:
    """Two significant digits."""
    unit = 10 ** (len(str(int(chances))) - 2)
    return int(chances // unit * unit)


# ---- what follows from the constants

WORD_BITS = 8 * proto.SAS_WORDS
RESPONSES = proto.HANDSHAKE_RATE_PER_S + proto.RESERVE_RATE_PER_S
TRIES = int(proto.HANDSHAKE_BURST + proto.RESERVE_BURST + RESPONSES * RING_TIMEOUT_S)
TRIES_OF_ONE = int(proto.SOURCE_BURST + proto.SOURCE_RATE_PER_S * RING_TIMEOUT_S)
SAFETY_DIGITS = 2 * proto.SAFETY_HALF_GROUPS * proto.SAFETY_GROUP_DIGITS
SAFETY_BITS = SAFETY_DIGITS * log2(10)

AES_BLOCK = 16
BLOCKS = proto.MAX_PLAINTEXT_BYTES / AES_BLOCK + 1
"""Blocks of a record, with the one that masks the tag."""
TOLD_FROM_NOISE = 2 * log2(proto.REKEY_AFTER_RECORDS * BLOCKS) - 129
"""log2 of q^2 / 2^(n + 1): RFC 9001, appendix B.1.1."""
FORGED_GCM = log2(BLOCKS) - 128
FORGED_CHACHA = log2(8 * BLOCKS) - 106
"""RFC 9001, appendix B.2.2: 8 * length in blocks * tries / 2^106; the larger of the two."""
FORGED_IN_TIME = FORGED_CHACHA + log2(1e6 * proto.REJECT_AFTER_S)

TAG_CONTACTS = 100
VOICE = [
    proto.FRAME_HEADER_BYTES
    + VoiceControl().level.rung.sound_bytes(copies)
    + proto.SLACK_BYTES
    + AROUND_RECORD
    for copies in (1, 2, 3)
]
PICTURE = [proto.FRAME_HEADER_BYTES + size + AROUND_RECORD for size in media.VIDEO_PAYLOAD_BYTES]
XX, IK = PatternId.XXHFS, PatternId.IKHFS


def negative(exponent: float) -> str:
    """A chance that is less than this power of two."""
    return f"2^-{int(-exponent // 1)}"


FACTS = (
    f"exit status {ExitCode.UNTRUSTED}",
    f"a knock of {proto.KNOCK_BYTES} bytes is answered with a cookie of {proto.COOKIE_BYTES},",
    f"for {proto.SECOND_WAY_S:g} s, have the caller knock for up to {proto.MAX_KNOWN_TRIED} of its contacts",
    f"a contact has {proto.HINTS_PER_EPOCH} hints in each {proto.KNOCK_EPOCH_S / 60:g} minutes by its clock, one for "
    f"a dial, so one dial in {proto.HINTS_PER_EPOCH} is like the one before",
    f"Cut a dial short, {REFUSED_GRACE_S:g} s after it began,",
    f"it would last {proto.HANDSHAKE_TIMEOUT_S:g} s",
    f"whose clock is more than {proto.KNOCK_EPOCH_S / 60:g} minutes from yours",
    f"answered as a stranger then, {proto.SECOND_WAY_S:g} s later",
    f"read more than {proto.MAX_CONFIRMATION_FAILURES} confirmations that are none",
    f"more than {proto.KNOCK_AHEAD_S / 60:g} minutes ahead of yours, but for the last {proto.MAX_KNOCKS_AHEAD}",
    f"none any more {proto.CONSENT_LAPSES_S:g} s after it has answered last",
    f"larger than {video.MAX_WIDTH} by {video.MAX_HEIGHT}",
    f"{proto.CONTROL_WINDOW} control messages of {proto.CONTROL_BODY_BYTES} bytes that came early, "
    f"{media.VIDEO_MAX_HELD_BYTES // 1024} KiB of pictures, {proto.MAX_EVENTS} events",
    f"more than once in {proto.REKEY_LEAST_S:g} s, or one fragment of a picture sent again more than "
    f"{media.STORE_RESENDS} times",
    # the words
    f"Four words are {WORD_BITS} bits",
    f"each try succeeds with 2^-{WORD_BITS}",
    f"one chance in {times(2**WORD_BITS / 10):,}",
    f"{RING_TIMEOUT_S:g} s unless told otherwise",
    f"answers {proto.HANDSHAKE_RATE_PER_S:g} handshakes a second, {proto.RESERVE_RATE_PER_S:g} more to networks "
    f"that have had none for {proto.NEW_AFTER_S:g} s, and at once, after quiet, {proto.HANDSHAKE_BURST} "
    f"and {proto.RESERVE_BURST}: "
    f"in {RING_TIMEOUT_S:g} s so many are {TRIES}, and {TRIES_OF_ONE} if he has one address alone",
    f"once in {times(2**WORD_BITS / TRIES):,} or {times(2**WORD_BITS / TRIES_OF_ONE):,} times",
    # the code of an invite
    f"with one chance in {2 ** (8 * pairing.CODE_WORDS):,}",
    f"Two words are {8 * pairing.CODE_WORDS} bits",
    "SPAKE2",
    # the safety number
    f"{SAFETY_DIGITS} digits, for comparing outside of calls: {int(SAFETY_BITS)} bits",
    f"hashed {proto.SAFETY_ROUNDS} times: more than {power(SAFETY_BITS / 2 + log2(2 * proto.SAFETY_ROUNDS))} steps",
    # keys and ciphers
    f"at most {power(log2(proto.REKEY_AFTER_RECORDS))} records before it is replaced, of at most "
    f"{proto.MAX_PLAINTEXT_BYTES} bytes",
    f"is then less than {negative(TOLD_FROM_NOISE)}",
    f"with less than {negative(FORGED_CHACHA)} ChaCha20-Poly1305 or {negative(FORGED_GCM)} AES-256-GCM",
    f"for the {proto.REJECT_AFTER_S:g} s that a key lives, with less than {negative(FORGED_IN_TIME)}",
    f"a counter of 64 bits, which ends at {power(log2(proto.REJECT_AFTER_RECORDS))}",
    f"sends {VOICE_PER_S} records a second, or {2 * VOICE_PER_S} of a microphone, some "
    f"{VOICE_PER_S * proto.REKEY_AFTER_S:,.0f} or {2 * VOICE_PER_S * proto.REKEY_AFTER_S:,.0f} between",
    # replay
    f"reaches {proto.REPLAY_WINDOW} back, {proto.REPLAY_WINDOW // VOICE_PER_S} s of sound",
    f"dies after {2 * proto.COOKIE_SECRET_S:g} s at the latest",
    f"within {proto.HANDSHAKE_TIMEOUT_S:g} s of the initiation",
    f"no more than {2 * proto.COOKIE_SECRET_S + proto.HANDSHAKE_TIMEOUT_S:g} s ago",
    # a flood
    f"at most {RESPONSES:g} a second, {proto.SOURCE_RATE_PER_S:g} for one source "
    f"an IPv4 address, an IPv6 network of {proto.SOURCE_NETWORK_BITS} bits "
    f"and {proto.SITE_RATE_PER_S:g} for one IPv6 network of {proto.SITE_NETWORK_BITS} bits",
    f"is made anew once in {proto.HANDSHAKE_TIMEOUT_S:g} s, until",
    f"at most {proto.MAX_HALVES} halves of an initiation of at most {PART_BYTES[IK] - proto.PART_HEADER_BYTES} "
    "bytes for "
    f"{proto.HALF_TIMEOUT_S:g} s, {proto.MAX_HALVES_PER_SOURCE} for one source; "
    f"{proto.MAX_HALF_OPEN} answered handshakes for {proto.HANDSHAKE_TIMEOUT_S:g} s, "
    f"{proto.MAX_HALF_OPEN_PER_SOURCE} for one source; and the use of {proto.MAX_SOURCES} sources",
    f"given up after {proto.INVITE_TIMEOUT_S:g} s; there are at most {proto.MAX_PEERS} lines",
    f"{proto.TAG_TRIALS_PER_S:,.0f} keys are tried a second",
    f"with {TAG_CONTACTS} contacts, on {proto.TAG_TRIALS_PER_S / TAG_CONTACTS:g} knocks",
    f"for 3 times {proto.KNOCK_EPOCH_S / 60:g} minutes",
    f"for {proto.HINTED_PER_KNOCK} contacts at a time",
    f"Tag and cookie have {8 * proto.MAC_BYTES} bits",
    # sizes
    f"the handshake is {proto.KNOCK_BYTES}, {proto.COOKIE_BYTES}, twice {PART_BYTES[XX]} (or {PART_BYTES[IK]}), "
    f"{RESPONSE_BYTES[XX]} (or {RESPONSE_BYTES[IK]}) and {CONFIRMATION_BYTES[XX]} (or {CONFIRMATION_BYTES[IK]}) "
    "bytes",
    f"{VOICE_PER_S} datagrams a second of {VOICE[0]} bytes",
    f"{1000 // media.TICK_MS} datagrams a second of the same length",
    f"it is {VOICE_PER_S} of {VOICE[1]} bytes",
    f"Each leaves {1000 * TICK_HOLD_S:g} ms after its frame of {media.TICK_MS} ms came from the microphone, or "
    f"{1000 * HOLD_S:g} ms after one of {media.FRAME_MS} ms",
    f"{1000 * HOLD_PER_TICK_S:g} ms for each {media.TICK_MS} ms of sound in it",
    f"the datagrams have {VOICE[1]} or {VOICE[2]} bytes; on a poor path",
    f"a datagram of {AROUND_RECORD + proto.RECORD_BYTES} bytes",
    f"Fragments have {PICTURE[0]}, {PICTURE[1]} or {PICTURE[2]} bytes",
    f"as if it were ringing for {proto.LINGER_S:g} s after a refusal",
    # announcing to contacts alone
    f"It changes every {proto.PRESENCE_PERIOD_S / 60:g} minutes, with the host name",
    f"a new start in the same {proto.PRESENCE_PERIOD_S / 60:g} minutes",
    f"whether there are more than {RECORD_VALUES} contacts",
    f"count up to {RECORD_VALUES} contacts",
    f"The change comes up to {SPREAD_S:g} s late",
    # times
    f"{proto.REKEY_AFTER_S:g} s Keys are replaced",
    f"{proto.REJECT_AFTER_S:g} s No key seals",
    f"{proto.PREVIOUS_EPOCH_S:g} s Old keys",
    f"{proto.COOKIE_SECRET_S:g} s The secret of cookies",
    f"{proto.HANDSHAKE_TIMEOUT_S:g} s A handshake",
    f"{proto.KEY_GRACE_S:g} s So long the caller",
    f"{proto.LOST_TIMEOUT_S:g} s A line",
    f"{proto.CONSENT_S:g} s The other side's address",
    f"not for {proto.CONSENT_LAPSES_S:g} s gets no media any more, and {proto.CONSENT_S + proto.LOST_TIMEOUT_S:g} s",
    f"told after {proto.SILENT_S:g} s",
    f"{proto.LINGER_S:g} s After the end",
    # the disk
    f"half a second and {MEMORY_KIB // 1024} MiB of memory",
    f"for {FORMER_DAYS} days at most",
    # known of the algorithms
    "X25519 takes about 2^126 steps",
    "as hard as AES-192",
)

NAMES = (
    *("ML-KEM-768", "X25519", "AES-256-GCM", "ChaCha20-Poly1305", "IPv4", "IPv6", "p2pcall", "tests"),
    *("FIPS 203", "SP 800-38D", "RFC 7748", "RFC 8439", "RFC 9001"),
)


def text() -> str:
    """The page as running text, without macros and without the parentheses that macros make."""
    words: list[str] = []
    for title, lines in page("p2pcall-security.7").items():
        for line in lines if title not in ("PROMISES", "LAW", "SEE ALSO", "TESTS") else []:
            if not line.startswith("."):
                words.append(line)
            elif not line.startswith(".Xr"):
                words += [word for word in tokens(line)[1:] if not re.fullmatch("[A-Z][a-z]", word)]
    return " ".join(words)


def test_every_number_follows_from_the_constants() -> None:
    told = text()
    missing = [fact for fact in FACTS if fact not in told]
    assert missing == []


def test_there_is_no_other_number() -> None:
    left = text()
    for fact in sorted((*FACTS, *NAMES), key=len, reverse=True):
        left = left.replace(fact, "")
    assert re.findall(r".{0,30}\d.{0,30}", left) == []


def test_a_code_has_two_words_and_ten_minutes() -> None:
    assert (pairing.CODE_WORDS, pairing.INVITE_S) == (2, 10 * 60)
    assert "a number, which is no secret, and two words" in text()
    assert "older than ten minutes" in text()


def test_a_flood_costs_no_more_than_an_eighth_of_a_processor() -> None:
    """With the millisecond a handshake that the page speaks of."""
    assert "no flood takes more than an eighth of a processor" in text()
    assert RESPONSES * 0.001 <= 1 / 8


def test_nothing_is_amplified() -> None:
    assert proto.COOKIE_BYTES < proto.KNOCK_BYTES
    for pattern in PatternId:
        assert RESPONSE_BYTES[pattern] < proto.PARTS * PART_BYTES[pattern]
        assert RESPONSE_BYTES[pattern] <= proto.MAX_HANDSHAKE_DATAGRAM_BYTES


def test_each_attacker_has_what_it_can_and_what_it_cannot() -> None:
    lines = page("p2pcall-security.7")["ATTACKERS"]
    can, cannot = (sum(line == f".It {word}:" for line in lines) for word in ("Can", "Cannot"))
    assert can == cannot >= 8


def test_a_word_of_the_door_is_explained_before_it_is_used() -> None:
    explained = [item.head[1] for item in items(page("p2pcall-security.7")["DESCRIPTION"])]
    assert explained == ["knock", "tag", "cookie"]
    assert list(page("p2pcall-security.7")).index("DESCRIPTION") < list(page("p2pcall-security.7")).index(
        "ATTACKERS"
    )
    before = text().partition("Three words are used below")[0]
    assert not [word for word in explained if re.search(rf"\b{word}\b", before)]


def test_what_a_dialled_name_tells_the_network_is_said() -> None:
    told = " ".join(parts(page("p2pcall-security.7")["WHO IS SHOWN TO WHOM"], ".Ss")["Looking for a name"])
    for word in ("multicast DNS", "in the clear", "resolver", "port"):
        assert word in told


def test_what_the_readme_says_of_it_is_so() -> None:
    readme = " ".join((ROOT / "README.md").read_text().split())
    assert proto.REKEY_AFTER_S == 2 * 60
    for told in (
        "every two minutes",
        f"come {VOICE_PER_S} or {2 * VOICE_PER_S} times a second",
        f"{SAFETY_DIGITS} digits",
    ):
        assert told in readme


QUALIFIERS = (
    "Which one that was is kept in memory only",
    "The same goes for knocks of a contact",
    "but see NOT PROMISED",
)
"""Sentences among what attackers cannot that say how far it goes."""


def cannots() -> dict[str, str]:
    """For each attacker, what it cannot, as running text."""
    told = {}
    for title, lines in parts(page("p2pcall-security.7")["ATTACKERS"], ".Ss").items():
        kept, on = [], False
        for line in lines:
            on = line == ".It Cannot:" or (on and not line.startswith((".It", ".El")))
            if on and not line.startswith("."):
                kept.append(line)
            elif on and not line.startswith(".It"):
                kept += [word for word in tokens(line)[1:] if not re.fullmatch("[A-Z][a-z]", word)]
        told[title] = " ".join(kept)
    return {title: text for title, text in told.items() if text}


def test_each_cannot_has_a_test_named_after_it() -> None:
    named = parts(page("p2pcall-security.7")["TESTS"], ".Ss")
    tests = "".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    told = cannots()
    assert named.keys() - {""} == told.keys()
    for title, text in told.items():
        rows = {item.head[1]: " ".join(item.body) for item in items(named[title])}
        assert not [name for name in rows if tests.count(f"def {name}(") != 1], (
            "a test of that name, and one only"
        )
        assert not [clause for clause in rows.values() if clause not in text]
        for sentence in re.split(r"(?<=[a-z])[;.] ", text.removesuffix(".")):
            covered = any(clause in sentence for clause in rows.values())
            assert covered or sentence.startswith(QUALIFIERS), f"{title}: {sentence}"


def test_nothing_is_signed() -> None:
    """So that no recording proves to a third what either side has said.

    `spake2.ed25519_basic` is the group of SPAKE2, which is on that curve, and signs nothing.
    """
    makers = re.compile(
        r"ed25519(?!_basic)|ecdsa|\brsa\b|crypto_sign|nacl\.signing|SigningKey", re.IGNORECASE
    )
    found = [path.name for path in (ROOT / "p2pcall").rglob("*.py") if makers.search(path.read_text())]
    assert found == []
