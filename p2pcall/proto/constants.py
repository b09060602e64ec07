"""Every number of the protocol on one page: on the wire or in a timer, with its unit and its reason.

Sizes are in bytes and times in seconds unless the name says otherwise. Nothing else in this room holds a
number that both ends must agree on. Media's numbers are in `media.constants`.
"""

from typing import Final

# --- versions and labels ------------------------------------------------------------------------------------
PROTOCOL_VERSION: Final = 4
"""Second byte of every handshake datagram but the confirmation; another version is dropped."""
PROLOGUE_LABEL: Final = b"p2pcall/4 initiator responder"
"""Starts the Noise prologue; the initiation's header follows it, so that no header can be changed on the path.
It names the roles in the order of the header's author and its reader."""
INITIATOR_LABEL: Final = b"p2pcall/4 initiator's nonce"
"""Domain of the hash in message 1 that binds the initiator to its nonce and its static key."""
RESPONDER_LABEL: Final = b"p2pcall/4 responder's nonce"
"""Domain of the hash in message 2 that binds the responder in the same way; another one, so that neither side can
give the other's commitment for its own."""
SAS_LABEL: Final = b"p2pcall/4 words"
"""Domain of the hash from which the spoken words are taken."""
CONTACT_LABEL: Final = b"p2pcall/4 contact"
"""Domain of the key, made of both static keys, by which a knock is known to be a contact's."""

# --- cryptographic sizes (X25519, ML-KEM-768, ChaCha20-Poly1305, AES-256-GCM, SHA-256) ----------------------
KEY_BYTES: Final = 32
"""X25519 keys and AEAD keys."""
HASH_BYTES: Final = 32
"""SHA-256."""
TAG_BYTES: Final = 16
"""Both AEADs."""
KEM_SEED_BYTES: Final = 64
"""Entropy of an ML-KEM key pair (FIPS 203: d and z)."""
KEM_PUBLIC_BYTES: Final = 1184
"""An ML-KEM-768 public key."""
KEM_CIPHERTEXT_BYTES: Final = 1088
"""An ML-KEM-768 ciphertext."""
INDEX_BYTES: Final = 4
"""Sender and receiver indexes: random, so that nobody off the path can address a line or a handshake."""
CALL_ID_BYTES: Final = 4
"""Of the handshake hash, in hexadecimal: names a call in events and logs, the same on both sides."""
NONCE_BYTES: Final = 16
"""The random values from which, with the handshake hash, the words are made; wide enough never to repeat."""
COMMITMENT_BYTES: Final = 20
"""SHA-256, cut: as much as message 2 of XXhfs has room for. Two nonces for one commitment take 2^80 steps, and would
give two tries at the words instead of one."""
SAS_WORDS: Final = 4
"""Words read aloud: 8 bits each, so a man in the middle passes once in 2^32 calls that people answer."""

# --- datagrams ----------------------------------------------------------------------------------------------
MAX_DATAGRAM_BYTES: Final = 1200
"""UDP payload that every path with IPv6's least MTU of 1280 carries unfragmented (as QUIC, RFC 9000 section
14)."""
MAX_HANDSHAKE_DATAGRAM_BYTES: Final = 1232
"""The same path's payload to the last byte: 1280 less the headers of IPv6 (40) and UDP (8)."""
MAC_BYTES: Final = 16
"""A knock's tag and a cookie are HMAC-SHA256 cut to so much: forged once in 2^128 tries."""
TOKEN_BYTES: Final = 8
"""Of a knock, echoed in the cookie: who does not see the knock cannot answer it."""
KNOCK_NONCE_BYTES: Final = 16
"""New in each knock: hides its time. Random but for the hint."""
KNOCK_HINT_BYTES: Final = 4
"""The start of a contact's nonce, by which the one who is called finds whose tag to try; the other 12 bytes never
repeat. One made up is somebody's once in some 100,000 knocks where there are the most contacts."""
KNOCK_TIME_BYTES: Final = 8
"""Microseconds since the epoch, for nobody but the contact who is called; random where there is none."""
KNOCK_PADDING_BYTES: Final = 28
"""Zeros, which leave room and keep the knock more than twice as long as its answer."""
KNOCK_TAGGED_BYTES: Final = 68
"""type, version, pattern, offered suites, sender index u32, token, nonce, hidden time, padding: what the tag
covers."""
KNOCK_BYTES: Final = KNOCK_TAGGED_BYTES + MAC_BYTES
"""The same and the tag: 84."""
COOKIE_PADDING_BYTES: Final = 4
"""Zeros at a cookie's end."""
COOKIE_BYTES: Final = 36
"""type, version, chosen suite, 0, receiver index u32, token, cookie, padding."""
INITIATION_HEADER_BYTES: Final = 16
"""type, version, pattern, offered suites, chosen suite, 0, 0, 0, sender index u32, 0, 0, 0, 0."""
PART_HEADER_BYTES: Final = 24
"""type, version, part, offered suites, sender index u32, cookie: before a chunk of the initiation."""
PARTS: Final = 2
"""Datagrams that an initiation takes, of equal length: it is longer than what every path carries."""
MESSAGE_1_XX_BYTES: Final = KEY_BYTES + KEM_PUBLIC_BYTES + COMMITMENT_BYTES
"""e, e1, commitment: 1236."""
MESSAGE_1_IK_BYTES: Final = (
    KEY_BYTES + (KEM_PUBLIC_BYTES + TAG_BYTES) + (KEY_BYTES + TAG_BYTES) + (COMMITMENT_BYTES + TAG_BYTES)
)
"""e, encrypted e1, s and commitment: 1316."""
RESPONSE_HEADER_BYTES: Final = 8
"""type, version, 0, 0, receiver index u32."""
RESPONSE_PAYLOAD_BYTES: Final = COMMITMENT_BYTES + INDEX_BYTES
"""The responder's commitment and the index of its line."""
MESSAGE_2_IK_BYTES: Final = (
    KEY_BYTES + (KEM_CIPHERTEXT_BYTES + TAG_BYTES) + (RESPONSE_PAYLOAD_BYTES + TAG_BYTES)
)
"""e, encrypted ciphertext of the KEM, encrypted payload: 1176."""
MESSAGE_2_XX_BYTES: Final = MESSAGE_2_IK_BYTES + KEY_BYTES + TAG_BYTES
"""The same and encrypted s: 1224."""
CONFIRMATION_HEADER_BYTES: Final = 8
"""type, 0, 0, 0, receiver index u32."""
MESSAGE_3_IK_BYTES: Final = TAG_BYTES
"""Nothing, sealed, which stands where XX has its third message: 16."""
MESSAGE_3_XX_BYTES: Final = (KEY_BYTES + TAG_BYTES) + MESSAGE_3_IK_BYTES
"""Encrypted s, encrypted nothing: 64."""
DATA_HEADER_BYTES: Final = 16
"""type, 0, 0, 0, receiver index u32, counter u64."""
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
MAX_U32: Final = 2**32 - 1
"""Longest time, in units of CLOCK_HZ, that a pong tells it was held."""
FIRST_MEDIA_CHANNEL: Final = 3
"""Channels below are this room's own; this one and those above go up and down opaque."""

# --- record layer -------------------------------------------------------------------------------------------
REPLAY_WINDOW: Final = 8128
"""Counters behind the newest that may still arrive, as WireGuard's: 8192 less one 64-bit word (RFC 6479)."""
REPLAY_WORD_BITS: Final = 64
"""Counters are remembered in words of so many bits, which are cleared one at a time (RFC 6479)."""

# --- shapes of records --------------------------------------------------------------------------------------
SLACK_BYTES: Final = 112
"""Room beside the sound in a record of voice, though not in each of them on the poorest paths: the longest control
message with both its headers is 109."""
RECORD_BYTES: Final = 370
"""Plaintext of each record of control, timing and feedback frames, and the least of any but voice's. It is that of
voice on a good path: a frame header, 255 bytes of sound, and the slack."""
VOICE_FLOW_S: Final = 0.18
"""After a record of voice, so long the small frames wait for the next to ride in: three of the longest frames, so
that a microphone that comes late once does not show."""
MAX_WAITING_FRAMES: Final = 32
"""Feedback frames waiting for a record; the oldest is dropped: late ones are worth less."""

# --- epochs: keys, and when they change ---------------------------------------------------------------------
REKEY_LABEL: Final = b"p2pcall/4 rekey"
"""Starts the prologue of a rekeying; the handshake hash of the running epoch follows and binds the chain."""
REKEY_AFTER_S: Final = 120.0
"""Age at which an epoch has been replaced (as WireGuard's)."""
REKEY_LEAD_S: Final = 5.0
"""The dialling side begins so much earlier, so that the new keys are there in time."""
REKEY_AFTER_RECORDS: Final = 2**30
"""Records sealed or opened in one direction after which an epoch is replaced; AES-GCM has room for 2^32."""
REKEY_RETRY_S: Final = 20.0
"""After the first message has been delivered, so long for the second; then it begins anew. On the poorest path it takes
twelve, for there each half second has room for one part."""
REKEY_LEAST_S: Final = 2.0
"""Between two answers to a rekeying (1 ms of computing): a hostile peer gets no more. Below the retry's wait."""
REKEY_IN_FLIGHT: Final = 4
"""Control messages of a rekeying on their way at once: chat and goodbyes do not queue behind all of it."""
REJECT_AFTER_S: Final = 180.0
"""No epoch seals or opens after this age: a rekeying that an outage of LOST_TIMEOUT_S has delayed still fits."""
REJECT_AFTER_RECORDS: Final = 2**60
"""No counter from here on is sealed or opened; far below what Noise reserves."""
PREVIOUS_EPOCH_S: Final = 10.0
"""So long after the other side was heard under the new keys the old ones still open what is late; then they
are wiped."""

# --- handshake ----------------------------------------------------------------------------------------------
OPENING_INTERVALS_S: Final = (0.25, 0.25, 0.5)
"""Waits before each repetition of a knock and of an initiation, the last one for all further ones: two round
trips have to succeed before the dial is given up."""
RESEND_INTERVALS_S: Final = (0.25, 0.5, 1.0)
"""Waits before each repetition of a confirmation or a probe, the last one for all further ones: quick after one
lost datagram, quiet when nobody is there."""
CANDIDATE_STAGGER_S: Final = 0.05
"""Between the first knocks at several addresses (Happy Eyeballs, RFC 8305): a knock is cheap, so shorter than
the RFC's 250 ms for TCP."""
MAX_CANDIDATES: Final = 16
"""Addresses tried in one dial; further ones are left out."""
SECOND_WAY_S: Final = 0.4
"""After so long without a cookie the other pattern is tried as well, two knocks and a long way: a stranger may be
asked for as a contact, and a contact who does not know us answers only strangers."""
MAX_KNOWN_TRIED: Final = 32
"""Keys tried in one dial of an address whose owner is not known."""
MAX_INITIATIONS: Final = 3
"""Addresses to which initiations go at once: those whose cookies came first."""
HANDSHAKE_TIMEOUT_S: Final = 5.0
"""A handshake not done by then has failed, on either side, and its keys are gone."""
KEY_GRACE_S: Final = 1.0
"""After an answer with another key than the expected one, so long for the right one: whoever spoofs an address must
not win by being quick."""
COOKIE_SECRET_S: Final = 10.0
"""A cookie's secret is replaced after so long, and holds as long again: a cookie lives 10 to 20 s, and a dial 5. Not
longer, for it is an address's first agreement to a line, and that may be somebody else's by then."""
HALF_TIMEOUT_S: Final = 2.0
"""How long one part of an initiation waits for the other: they leave together."""
MAX_HALVES: Final = 64
"""Parts kept at once, all from addresses that are proven: 44 kB; the oldest of the source with the most makes way."""
MAX_HALVES_PER_SOURCE: Final = 2
"""Parts kept for one source: one dial by either pattern, or two people behind one address."""
MAX_HALF_OPEN: Final = 64
"""Answered and unconfirmed handshakes that a responder keeps; the oldest of the source with the most makes way."""
MAX_CONFIRMATION_FAILURES: Final = 3
"""Confirmations that cannot be read, after which a handshake is forgotten: each costs the DH of message 3."""
MAX_HALF_OPEN_PER_SOURCE: Final = 8
"""Of these for one source, whose own oldest makes way: so one source never pushes out another's."""
SOURCE_NETWORK_BITS: Final = 64
"""Of an IPv6 address that tell who it is: a network has all addresses below."""
SITE_NETWORK_BITS: Final = 56
"""Of an IPv6 address that tell whose network it is: one subscriber often has all of them below (RFC 6177)."""
SOURCE_RATE_PER_S: Final = 10.0
"""New handshakes answered a second for one source (IPv4 address, IPv6 network of 64 bits)."""
SOURCE_BURST: Final = 20
"""New handshakes answered at once for one source after a quiet time."""
SITE_RATE_PER_S: Final = 20.0
"""The same for all sources of one IPv6 network of 56 bits together."""
SITE_BURST: Final = 40
"""At once, for these."""
NEW_AFTER_S: Final = 120.0
"""A site that has had a handshake counts as new again only after so long: the reserve is for those who have not."""
MAX_SOURCES: Final = 1024
"""Sources, and sites, whose use is remembered for NEW_AFTER_S; the oldest makes way."""
HANDSHAKE_RATE_PER_S: Final = 100.0
"""New handshakes answered a second, over all sources: bounds the CPU that strangers can burn (four X25519 and
one encapsulation each) and the guesses at the words that a man in the middle has."""
HANDSHAKE_BURST: Final = 64
"""New handshakes answered at once after a quiet time."""
RESERVE_RATE_PER_S: Final = 16.0
"""Beyond that, for sites that have had none: a flood from many does not keep out the next one."""
RESERVE_BURST: Final = 16
"""Of the reserve at once."""
MAX_CONTACTS: Final = 4096
"""Keys that may knock under `reach contacts`: as many as contacts are kept."""
KNOCK_AHEAD_S: Final = 600.0
"""A contact's clock is believed to be so far ahead of ours. What a knock says beyond that is no measure for later
ones; its like is not taken twice."""
MAX_KNOCKS_AHEAD: Final = 16
"""Of those, remembered for each contact."""
KNOCK_EPOCH_S: Final = 600
"""Hints are new in each epoch of the time of day. Those of the one before and the one after ours are known too, so
that clocks may differ by as much, and by no less than KNOCK_AHEAD_S."""
HINTS_PER_EPOCH: Final = MAC_BYTES // KNOCK_HINT_BYTES
"""That a contact has in one, so that not all its dials have the same: as many as one hash gives."""
HINTED_PER_KNOCK: Final = 128
"""Contacts whose hints of an epoch are made when a knock comes, until all are: half a millisecond, so that sound does
not wait."""
TAG_TRIALS_PER_S: Final = 50_000.0
"""Keys tried on knocks without a hint a second: strangers burn no more than a tenth of a CPU."""
TAG_TRIAL_BURST: Final = 2 * MAX_CONTACTS
"""Keys tried at once after a quiet time: two knocks with the most contacts."""
MAX_PEERS: Final = 64
"""Lines at once; above it the oldest without a call makes way, and initiations are dropped if all have one."""
INVITE_TIMEOUT_S: Final = 5.0
"""A line on which the initiator sends no invitation is given up, so that strangers cannot hold lines: as long
as a handshake, for the invitation leaves with the confirmation."""
REVEAL_TIMEOUT_S: Final = 5.0
"""A caller that does not show its nonce so long after the answer is hung up on: as long as a handshake."""

# --- timing -------------------------------------------------------------------------------------------------
PING_INTERVAL_S: Final = 1.0
"""Keepalive and measurement; holds NAT and firewall mappings, the shortest of which last some 20 s."""
SILENT_S: Final = 3.0
"""After so long without one authentic datagram (three pings) people are told that the line is reconnecting."""
LOST_TIMEOUT_S: Final = 60.0
"""After so long without one the line is lost: a router has restarted by then, and people have hung up."""
RECONNECT_PING_S: Final = 0.25
"""Between pings while the line is silent, so that it is back soon after the network is ..."""
RECONNECT_QUICK_S: Final = 10.0
"""... for so long; then PING_INTERVAL_S again: most outages are short."""
NUDGE_PINGS: Final = 3
"""Pings at the waits of RESEND_INTERVALS_S after this machine's own addresses have changed."""
MAX_PINGS_OUTSTANDING: Final = 16
"""Pings whose answers still count; older ones are forgotten."""
MAX_PONGS_OWED: Final = 4
"""Pings that came since the last drain and are answered, the latest ones: a ping, a probe, and some slack."""
CONSENT_S: Final = 15.0
"""After so long an address in use is asked to agree again (as RFC 7675, which asks each 5 s: this line is kept by
authentic datagrams as well)."""
CONSENT_LAPSES_S: Final = 30.0
"""An address that has not agreed for so long gets no media any more (RFC 7675's time)."""
PROBE_BYTES: Final = 8
"""The number in a ping that probes an address: in the clock's place, random, so that only whoever receives
there can echo it (as QUIC's PATH_CHALLENGE, RFC 9000 section 8.2)."""
PROBE_DATAGRAM_BYTES: Final = MIN_DATA_BYTES + RECORD_BYTES
"""A probe as it leaves, like any record: 402. It answers datagrams that are together no shorter, so a forged source
address gets no more than was sent in its name."""
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
CONTROL_BODY_BYTES: Final = 96
"""Longest body: with the headers of message and frame it fits the slack of a record of voice."""
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
"""Longest name, UTF-8: in a call message, of a contact, and as an option. What is longer is compared so far."""
FIRST_ENGINE_MESSAGE: Final = 64
"""Control message types from here on belong to the owner of the line and are passed up and down as they
are."""
REKEY_HEADER_BYTES: Final = 2
"""Of a REKEY message: which of the two messages u8, part u8; the parts of one follow each other in order."""
REKEY_PART_BYTES: Final = CONTROL_BODY_BYTES - REKEY_HEADER_BYTES
"""All parts but the last have so much."""
REKEY_FIRST_BYTES: Final = (
    KEY_BYTES + (KEM_PUBLIC_BYTES + TAG_BYTES) + (KEY_BYTES + TAG_BYTES) + (INDEX_BYTES + TAG_BYTES)
)
"""IKhfs message 1 with an index: e, e1, s, payload: 1300, in fourteen parts."""
REKEY_SECOND_BYTES: Final = KEY_BYTES + (KEM_CIPHERTEXT_BYTES + TAG_BYTES) + (INDEX_BYTES + TAG_BYTES)
"""IKhfs message 2 with an index: e, ekem1, payload: 1156, in thirteen parts."""

# --- safety number (never sent: people compare it) ----------------------------------------------------------
SAFETY_LABEL: Final = b"p2pcall safety number 1"
"""Salt of the iterated hash. It does not change with the protocol: numbers that were compared stay true."""
SAFETY_ROUNDS: Final = 4096
"""Of PBKDF2-HMAC-SHA512 for one key: makes a key with somebody else's half 2^13 times as dear, and takes 4 ms."""
SAFETY_HALF_GROUPS: Final = 6
"""Groups for one key, 30 digits, 99.7 bits; both keys have twelve."""
SAFETY_GROUP_DIGITS: Final = 5
"""As many as people read out in one breath."""
SAFETY_GROUP_BYTES: Final = 5
"""From which a group is taken: eleven million times as many values as a group has, so that all are as likely."""
URI_VERSION: Final = 1
"""In `p2pcall:safety/` and `p2pcall:id/`."""

# --- end of a line and bounds of its queues -----------------------------------------------------------------
LINGER_S: Final = 1.0
"""How long a goodbye is repeated, or the other side's goodbye acknowledged again, after the end; after a refusal,
how long both sides go on as if it were ringing."""
GOODBYE_COPIES: Final = 2
"""A goodbye of a call that is up leaves so often at once, for a process that must exit at once."""
MAX_OUTBOX_DATAGRAMS: Final = 1024
"""Datagrams waiting to be drained; the oldest is dropped: late ones are worth less."""
MAX_EVENTS: Final = 4096
"""Events waiting to be drained; above it payloads (never a call's events) are dropped and counted."""
