"""Every number of the protocol on one page: on the wire or in a timer, with its unit and its reason.

Sizes are in bytes and times in seconds unless the name says otherwise. Nothing else in this room holds a
number that both ends must agree on. Media's numbers are in `media.constants`.
"""

from typing import Final

# --- versions and labels ------------------------------------------------------------------------------------
PROTOCOL_VERSION: Final = 1
"""Second byte of an initiation and of a response; another version is dropped."""
PROLOGUE_LABEL: Final = b"p2pcall/1"
"""Starts the Noise prologue; both cleartext headers follow it, so that no header can be changed on the
path."""
COMMITMENT_LABEL: Final = b"p2pcall/1 commitment"
"""Domain of the hash in message 1 that binds the initiator to its nonce and its static key."""
SAS_LABEL: Final = b"p2pcall/1 words"
"""Domain of the hash from which the spoken words are taken."""

# --- cryptographic sizes (X25519, ChaCha20-Poly1305, AES-256-GCM, SHA-256) ----------------------------------
KEY_BYTES: Final = 32
"""X25519 keys and AEAD keys."""
HASH_BYTES: Final = 32
"""SHA-256."""
TAG_BYTES: Final = 16
"""Both AEADs."""
INDEX_BYTES: Final = 4
"""Sender and receiver indexes: random, so that nobody off the path can address a line or a handshake."""
CALL_ID_BYTES: Final = 4
"""Of the handshake hash, in hexadecimal: names a call in events and logs, the same on both sides."""
NONCE_BYTES: Final = 32
"""The random values from which, with the handshake hash, the words are made; wide enough never to repeat."""
SAS_WORDS: Final = 4
"""Words read aloud: 8 bits each, so a man in the middle passes once in 2^32 tries."""

# --- datagrams ----------------------------------------------------------------------------------------------
MAX_DATAGRAM_BYTES: Final = 1200
"""UDP payload that every path with IPv6's least MTU of 1280 carries unfragmented (as QUIC, RFC 9000 section
14)."""
INITIATION_HEADER_BYTES: Final = 8
"""type, version, offered suites, 0, sender index u32."""
RESPONSE_HEADER_BYTES: Final = 12
"""type, version, chosen suite, 0, sender index u32, receiver index u32."""
CONFIRMATION_HEADER_BYTES: Final = 8
"""type, 0, 0, 0, receiver index u32."""
DATA_HEADER_BYTES: Final = 16
"""type, 0, 0, 0, receiver index u32, counter u64."""
RESPONSE_BYTES: Final = (
    RESPONSE_HEADER_BYTES + KEY_BYTES + (KEY_BYTES + TAG_BYTES) + (NONCE_BYTES + TAG_BYTES)
)
"""Header, e, encrypted s, encrypted nonce: 140."""
INITIATION_BYTES: Final = RESPONSE_BYTES
"""Padded to the length of a response: an answer to a forged source address never amplifies."""
INITIATION_PAYLOAD_BYTES: Final = INITIATION_BYTES - INITIATION_HEADER_BYTES - KEY_BYTES
"""Commitment and zero padding."""
CONFIRMATION_BYTES: Final = CONFIRMATION_HEADER_BYTES + (KEY_BYTES + TAG_BYTES) + (NONCE_BYTES + TAG_BYTES)
"""Header, encrypted s, encrypted nonce: 104."""
MIN_DATA_BYTES: Final = DATA_HEADER_BYTES + TAG_BYTES
"""A data datagram with an empty plaintext."""
FRAME_HEADER_BYTES: Final = 3
"""channel u8, length u16."""
MAX_PLAINTEXT_BYTES: Final = MAX_DATAGRAM_BYTES - DATA_HEADER_BYTES - TAG_BYTES
"""All frames of one datagram together."""
MAX_PAYLOAD_BYTES: Final = MAX_PLAINTEXT_BYTES - FRAME_HEADER_BYTES
"""One frame's payload: 1165."""
MAX_U8: Final = 255
"""Largest channel and largest control message type."""
FIRST_MEDIA_CHANNEL: Final = 3
"""Channels below are this room's own; this one and those above go up and down opaque."""

# --- record layer -------------------------------------------------------------------------------------------
REPLAY_WINDOW: Final = 8128
"""Counters behind the newest that may still arrive, as WireGuard's: 8192 less one 64-bit word (RFC 6479)."""
REPLAY_WORD_BITS: Final = 64
"""Counters are remembered in words of so many bits, which are cleared one at a time (RFC 6479)."""
MAX_COUNTER: Final = 2**64 - 2
"""Last counter that may be sent; Noise reserves 2^64-1."""

# --- handshake ----------------------------------------------------------------------------------------------
RESEND_INTERVALS_S: Final = (0.25, 0.5, 1.0)
"""Waits before each repetition of a handshake message, the last one for all further ones: quick after one
lost datagram, quiet when nobody is there."""
CANDIDATE_STAGGER_S: Final = 0.05
"""Between the first initiations to several addresses (Happy Eyeballs, RFC 8305): a handshake datagram is
cheap, so shorter than the RFC's 250 ms for TCP."""
MAX_CANDIDATES: Final = 16
"""Addresses tried in one dial; further ones are left out."""
HANDSHAKE_TIMEOUT_S: Final = 5.0
"""A handshake not done by then has failed, on either side, and its keys are gone."""
KEY_GRACE_S: Final = 1.0
"""After an answer with another key than the expected one, so long for the right one: whoever spoofs an
address must not win by being quick."""
MAX_HALF_OPEN: Final = 64
"""Handshakes that a responder keeps open for strangers; the oldest makes way."""
HANDSHAKE_RATE_PER_S: Final = 100.0
"""New handshakes answered a second, over all sources: bounds the CPU that strangers can burn (three X25519
each) and the guesses at the words that a man in the middle has."""
HANDSHAKE_BURST: Final = 64
"""New handshakes answered at once after a quiet time."""
MAX_PEERS: Final = 64
"""Lines at once; above it the oldest without a call makes way, and initiations are dropped if all have one."""
INVITE_TIMEOUT_S: Final = 5.0
"""A line on which the initiator sends no invitation is given up, so that strangers cannot hold lines: as long
as a handshake, for the invitation leaves with the confirmation."""

# --- timing -------------------------------------------------------------------------------------------------
PING_INTERVAL_S: Final = 1.0
"""Keepalive and measurement; holds NAT and firewall mappings, the shortest of which last some 20 s."""
LOST_TIMEOUT_S: Final = 15.0
"""The line is lost after so long without one authentic datagram: fifteen pings."""
MAX_PINGS_OUTSTANDING: Final = 16
"""Pings whose answers still count; older ones are forgotten."""
MAX_PONGS_OWED: Final = 4
"""Pings that came since the last drain and are answered, the latest ones: a ping, a probe, and some slack."""
PROBE_BYTES: Final = 8
"""The number in a ping that probes an address: in the clock's place, random, so that only whoever receives
there can echo it (as QUIC's PATH_CHALLENGE, RFC 9000 section 8.2)."""
PROBE_DATAGRAM_BYTES: Final = MIN_DATA_BYTES + FRAME_HEADER_BYTES + 1 + PROBE_BYTES
"""A probe as it leaves: 44. It answers a datagram that is no shorter, so a forged source address gets no more
than was sent in its name."""
OFFSET_SAMPLES: Final = 8
"""The clock offset is taken from the quickest of so many exchanges (NTP's clock filter, RFC 5905 section
10)."""
RTT_ALPHA: Final = 1 / 8
"""Weight of a new sample in the smoothed round trip (RFC 6298)."""
RTT_BETA: Final = 1 / 4
"""Weight of a new deviation in the round trip's variation (RFC 6298)."""

RTO_VARIATIONS: Final = 4
"""An acknowledgement is late after the round trip and so many variations (RFC 6298's K)."""
CLOCK_HZ: Final = 1_000_000
"""Session clocks on the wire count microseconds, which outlast any call in 64 bits."""

# --- control channel ----------------------------------------------------------------------------------------
CONTROL_HEADER_BYTES: Final = 10
"""kind u8, sequence u64, type u8."""
CONTROL_ACK_BYTES: Final = 9
"""kind u8, next expected u64."""
CONTROL_BODY_BYTES: Final = 512
"""Longest body: two messages fit one datagram."""
CONTROL_WINDOW: Final = 32
"""Messages sent and not yet acknowledged, and messages kept out of order by the receiver."""
CONTROL_RESERVE: Final = 4
"""Further places that only call messages may take, so that one can always hang up."""
RTO_START_S: Final = 0.25
"""Wait before the first repetition while no round trip is known."""
RTO_MIN_S: Final = 0.1
"""Never repeat sooner: acknowledgements may wait for the other side's event loop."""
RTO_MAX_S: Final = 2.0
"""Never wait longer: people are waiting."""
NAME_BYTES: Final = 64
"""Longest name in a call message, UTF-8."""
FIRST_ENGINE_MESSAGE: Final = 64
"""Control message types from here on belong to the owner of the line and are passed up and down as they
are."""

# --- end of a line and bounds of its queues -----------------------------------------------------------------
LINGER_S: Final = 1.0
"""How long a goodbye is repeated, or the other side's goodbye acknowledged again, after the end."""
GOODBYE_COPIES: Final = 2
"""A goodbye leaves so often at once, for a process that must exit at once."""
MAX_OUTBOX_DATAGRAMS: Final = 1024
"""Datagrams waiting to be drained; the oldest is dropped: late ones are worth less."""
MAX_HAPPENINGS: Final = 4096
"""Happenings waiting to be drained; above it payloads (never calls' happenings) are dropped and counted."""
