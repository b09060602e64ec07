"""Every number of the protocol on one page: on the wire or in a timer, with its unit and its reason.

Sizes are in bytes and times in seconds unless the name says otherwise. Nothing else in this room holds a
number that both ends must agree on. Media's numbers are in `media.constants`.
"""

from typing import Final

# --- versions and labels ------------------------------------------------------------------------------------
PROTOCOL_VERSION: Final = 4
"""Second byte of every handshake datagram but the confirmation; another version is dropped."""
PROLOGUE_LABEL: Final = b"p2pcall/4 initiator responder"
"""Starts the Noise prologue. The initiation's header follows it, so that no header can be changed on the path.
The label names the writer of the header first, then its reader."""
INITIATOR_LABEL: Final = b"p2pcall/4 initiator's nonce"
"""Domain of the hash in message 1 that binds the initiator to its nonce and its static key."""
RESPONDER_LABEL: Final = b"p2pcall/4 responder's nonce"
"""Domain of the hash in message 2 that binds the responder in the same way. It differs from the initiator's, so that
neither side can present the other's commitment as its own."""
SAS_LABEL: Final = b"p2pcall/4 words"
"""Domain of the hash from which the spoken words are taken."""
ROTATION_LABEL: Final = b"p2pcall/4 rotation"
"""Domain of the key, derived from two static keys of one side and one of the other, that shows a changed key."""
CONTACT_LABEL: Final = b"p2pcall/4 contact"
"""Domain of the key, derived from both static keys, that shows that a knock is from a contact."""

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
"""Bytes of the handshake hash that name a call in events and logs (in hexadecimal), the same on both sides."""
NONCE_BYTES: Final = 16
"""The words are made from these random values and the handshake hash; long enough never to repeat."""
COMMITMENT_BYTES: Final = 20
"""SHA-256, cut to the room in message 2 of XXhfs. Finding two nonces for one commitment takes 2^80 steps, and would
give two tries at the words instead of one."""
SAS_WORDS: Final = 4
"""Words read aloud: 8 bits each, so a man in the middle stays undetected in one of 2^32 answered calls."""

# --- datagrams ----------------------------------------------------------------------------------------------
MAX_DATAGRAM_BYTES: Final = 1200
"""UDP payload that fits IPv6's minimum MTU of 1280 without fragmentation (as QUIC, RFC 9000 section 14)."""
MAX_HANDSHAKE_DATAGRAM_BYTES: Final = 1232
"""All of the UDP payload at that MTU: 1280 less the headers of IPv6 (40) and UDP (8)."""
MAC_BYTES: Final = 16
"""A knock's tag and a cookie are HMAC-SHA256 cut to this length: a forgery succeeds once in 2^128 tries."""
TOKEN_BYTES: Final = 8
"""A knock's random token. The cookie echoes it, so only somebody who sees the knock can answer it."""
KNOCK_NONCE_BYTES: Final = 16
"""New in each knock: encrypts its time. Random except for the hint."""
KNOCK_HINT_BYTES: Final = 4
"""The start of a contact's nonce: it tells the responder which contact's tag to check. The other 12 bytes never
repeat. With the most contacts, a random hint matches some contact about once in 100,000 knocks."""
KNOCK_TIME_BYTES: Final = 8
"""Microseconds since the epoch, readable only by the contact who is called; random if no contact is called."""
KNOCK_PADDING_BYTES: Final = 28
"""Zeros: room for later fields, and they keep the knock more than twice as long as its answer."""
KNOCK_TAGGED_BYTES: Final = 68
"""type, version, pattern, offered suites, sender index u32, token, nonce, hidden time, padding: the tag covers
these."""
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
"""An initiation is sent as this many datagrams of equal length, because it is longer than a safe datagram."""
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
"""An empty plaintext, sealed; it takes the place of XX's third message: 16."""
MESSAGE_3_XX_BYTES: Final = (KEY_BYTES + TAG_BYTES) + MESSAGE_3_IK_BYTES
"""Encrypted s, encrypted empty payload: 64."""
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
"""Longest hold time that a pong can state, in units of CLOCK_HZ."""
FIRST_MEDIA_CHANNEL: Final = 3
"""Channels below are the protocol's own; this one and those above are passed on without being read."""

# --- record layer -------------------------------------------------------------------------------------------
REPLAY_WINDOW: Final = 8128
"""A counter may be this far behind the newest (as WireGuard's): 8192 less one 64-bit word (RFC 6479)."""
REPLAY_WORD_BITS: Final = 64
"""Counters are remembered in words of this many bits; words are cleared one at a time (RFC 6479)."""

# --- shapes of records --------------------------------------------------------------------------------------
SLACK_BYTES: Final = 112
"""Room beside the sound in a record of voice, except in most of them on the poorest paths: the longest control message
with both its headers is 109."""
RECORD_BYTES: Final = 370
"""Plaintext length of each record of control, timing and feedback frames, and the minimum of any but voice's. It is
that of voice on a good path: a frame header, 255 bytes of sound, and the slack."""
VOICE_FLOW_S: Final = 0.18
"""How long small frames wait after a record of voice to be sent inside the next one: three of the longest frames, so
that one late microphone frame does not cause a separate record."""
MAX_WAITING_FRAMES: Final = 32
"""Feedback frames waiting for a record; above it the oldest is dropped, because old feedback is worth less."""

# --- epochs: keys, and when they change ---------------------------------------------------------------------
REKEY_LABEL: Final = b"p2pcall/4 rekey"
"""Starts the prologue of a rekeying. The running epoch's handshake hash follows: it binds the new keys to the old."""
REKEY_AFTER_S: Final = 120.0
"""An epoch is replaced before this age (as WireGuard's)."""
REKEY_LEAD_S: Final = 5.0
"""The dialling side starts the rekeying this much earlier, so that the new keys are ready in time."""
REKEY_AFTER_RECORDS: Final = 2**30
"""Records sealed or opened in one direction after which an epoch is replaced; AES-GCM has room for 2^32."""
REKEY_RETRY_S: Final = 20.0
"""How long to wait for the second message after the first was delivered; then the rekeying starts again. On the poorest
path it takes twelve, for there each half second has room for one part."""
REKEY_LEAST_S: Final = 2.0
"""Minimum time between two answers to a rekeying (1 ms of computing each): it limits a hostile peer. Less than
REKEY_RETRY_S."""
REKEY_IN_FLIGHT: Final = 4
"""Unacknowledged control messages of a rekeying at once: so chat and goodbyes do not wait behind all of them."""
REJECT_AFTER_S: Final = 180.0
"""No epoch seals or opens after this age. It leaves room for a rekeying delayed by an outage of LOST_TIMEOUT_S."""
REJECT_AFTER_RECORDS: Final = 2**60
"""Counters from this value on are neither sealed nor opened; far below the values that Noise reserves."""
PREVIOUS_EPOCH_S: Final = 10.0
"""How long the old keys still open late datagrams after the other side was heard under the new ones; then they are
wiped."""

# --- handshake ----------------------------------------------------------------------------------------------
OPENING_INTERVALS_S: Final = (0.25, 0.25, 0.5)
"""Waits before each repetition of a knock and of an initiation; the last one repeats. They are short because two
round trips have to succeed before the dial is given up."""
RESEND_INTERVALS_S: Final = (0.25, 0.5, 1.0)
"""Waits before each repetition of a confirmation or a probe; the last one repeats. Short at first, for one lost
datagram; longer later, when nobody answers."""
CANDIDATE_STAGGER_S: Final = 0.05
"""Time between the first knocks to several addresses (Happy Eyeballs, RFC 8305). A knock is cheap, so this is shorter
than the RFC's 250 ms for TCP."""
MAX_CANDIDATES: Final = 16
"""Addresses tried in one dial; further ones are left out."""
SECOND_WAY_S: Final = 0.4
"""Without a cookie after this time the other pattern is tried as well: time for two knocks on a slow path. We may
have dialled a contact as a stranger, or a contact who does not have us as a contact and answers only strangers."""
MAX_KNOWN_TRIED: Final = 32
"""Keys tried in one dial when the owner of the address is not known."""
MAX_INITIATIONS: Final = 3
"""Addresses that get initiations at the same time: those whose cookies came first."""
HANDSHAKE_TIMEOUT_S: Final = 5.0
"""A handshake that is not done after this time has failed, on either side, and its keys are dropped."""
KEY_GRACE_S: Final = 1.0
"""How long to wait for the expected key after an answer with another one: a spoofed answer must not win by being
quick."""
COOKIE_SECRET_S: Final = 10.0
"""A cookie's secret is replaced after this time and is still accepted for as long again: a cookie is valid for 10 to
20 s, and a dial takes at most 5. Not longer: a cookie is the first agreement of an address to a line, and the address
may have another owner later."""
HALF_TIMEOUT_S: Final = 2.0
"""How long one part of an initiation waits for the other; short, because they are sent together."""
MAX_HALVES: Final = 64
"""Parts kept at once, all from proven addresses: 44 kB; above it the oldest of the source with the most is dropped."""
MAX_HALVES_PER_SOURCE: Final = 2
"""Parts kept for one source: one dial by either pattern, or two people behind one address."""
MAX_HALF_OPEN: Final = 64
"""Answered and unconfirmed handshakes of a responder; above it the oldest of the source with the most is dropped."""
MAX_CONFIRMATION_FAILURES: Final = 3
"""After this many unreadable confirmations a handshake is forgotten, because each costs the DH of message 3."""
MAX_HALF_OPEN_PER_SOURCE: Final = 8
"""The same for one source; above it its own oldest is dropped, so one source never pushes out another's."""
SOURCE_NETWORK_BITS: Final = 64
"""Leading bits of an IPv6 address that identify a source: one network owns all addresses below them."""
SITE_NETWORK_BITS: Final = 56
"""Leading bits of an IPv6 address that identify a site: one subscriber often has all networks below (RFC 6177)."""
SOURCE_RATE_PER_S: Final = 10.0
"""New handshakes answered a second for one source (IPv4 address, IPv6 network of 64 bits)."""
SOURCE_BURST: Final = 20
"""New handshakes answered at once for one source after a quiet time."""
SITE_RATE_PER_S: Final = 20.0
"""The same for all sources of one IPv6 network of 56 bits together."""
SITE_BURST: Final = 40
"""New handshakes answered at once for all these sources after a quiet time."""
NEW_AFTER_S: Final = 120.0
"""A site that has had a handshake counts as new again after this time: the reserve is only for new sites."""
MAX_SOURCES: Final = 1024
"""Sources, and sites, whose use is remembered for NEW_AFTER_S; above it the oldest is dropped."""
HANDSHAKE_RATE_PER_S: Final = 100.0
"""New handshakes answered a second, over all sources: limits the CPU that strangers can use (four X25519 and one
encapsulation each), and how often a man in the middle can guess the words."""
HANDSHAKE_BURST: Final = 64
"""New handshakes answered at once after a quiet time."""
RESERVE_RATE_PER_S: Final = 16.0
"""Further handshakes a second for new sites: so a flood from many sites does not block the next one."""
RESERVE_BURST: Final = 16
"""Handshakes from the reserve at once."""
MAX_CONTACTS: Final = 4096
"""Keys that may knock under `reach contacts`: as many as contacts are kept."""
KNOCK_AHEAD_S: Final = 600.0
"""A contact's clock may be this far ahead of ours. If a knock's time is further ahead, later knocks are not compared
with it; only the same time is not accepted twice."""
MAX_KNOCKS_AHEAD: Final = 16
"""Times further ahead that are remembered for each contact."""
KNOCK_EPOCH_S: Final = 600
"""Hints change with each epoch of this many seconds. The hints of the previous and the next epoch are known too, so
clocks may differ by one epoch; it is no shorter than KNOCK_AHEAD_S."""
HINTS_PER_EPOCH: Final = MAC_BYTES // KNOCK_HINT_BYTES
"""Hints of one contact in one epoch, so that its dials do not all show the same one: as many as one hash gives."""
HINTED_PER_KNOCK: Final = 128
"""Contacts whose hints are computed at each knock until all are ready: it takes half a millisecond, so that sound does
not wait."""
TAG_TRIALS_PER_S: Final = 50_000.0
"""Keys tried a second on knocks with an unknown hint: strangers use at most a tenth of a CPU."""
TAG_TRIAL_BURST: Final = 2 * MAX_CONTACTS
"""Keys tried at once after a quiet time: enough for two knocks with the most contacts."""
MAX_PEERS: Final = 64
"""Lines at once; above it the oldest without a call is closed. If all have calls, initiations are dropped."""
INVITE_TIMEOUT_S: Final = 5.0
"""A line is closed if the initiator sends no invitation for this time, so that strangers cannot hold lines. As long
as a handshake, because the invitation leaves with the confirmation."""
REVEAL_TIMEOUT_S: Final = 5.0
"""If a caller does not show its nonce this long after the answer, the call is ended: as long as a handshake."""

# --- timing -------------------------------------------------------------------------------------------------
PING_INTERVAL_S: Final = 1.0
"""Keepalive and measurement; holds NAT and firewall mappings, the shortest of which last some 20 s."""
SILENT_S: Final = 3.0
"""After this time without an authentic datagram (three pings) people see that the line is reconnecting."""
LOST_TIMEOUT_S: Final = 60.0
"""After this time without one the line is lost: a router can restart in it, and most people hang up sooner."""
RECONNECT_PING_S: Final = 0.25
"""Between pings while the line is silent, so that it is back soon after the network is back."""
RECONNECT_QUICK_S: Final = 10.0
"""How long pings use RECONNECT_PING_S; then PING_INTERVAL_S again, because most outages are short."""
NUDGE_PINGS: Final = 3
"""Pings sent after this machine's own addresses have changed, with the waits of RESEND_INTERVALS_S."""
MAX_PINGS_OUTSTANDING: Final = 16
"""Pings whose answers still count; older ones are forgotten."""
MAX_PONGS_OWED: Final = 4
"""Pings answered at one drain, the latest ones: a ping, a probe, and some slack."""
CONSENT_S: Final = 15.0
"""After this time an address in use must agree again (as RFC 7675, which asks every 5 s; here authentic datagrams
also show that the other side is there)."""
CONSENT_LAPSES_S: Final = 30.0
"""An address that has not agreed for this time gets no media any more (RFC 7675's time)."""
PROBE_BYTES: Final = 8
"""The random number in a ping that probes an address, in the field of the clock. Only a receiver at that address can
echo it (as QUIC's PATH_CHALLENGE, RFC 9000 section 8.2)."""
PROBE_DATAGRAM_BYTES: Final = MIN_DATA_BYTES + RECORD_BYTES
"""A probe's datagram, as long as any small record: 402. It answers datagrams that are together at least as long, so a
forged source address gets no more bytes than the forger sent."""
OFFSET_SAMPLES: Final = 8
"""The clock offset is taken from the quickest of this many exchanges (NTP's clock filter, RFC 5905 section 10)."""
RTT_ALPHA: Final = 1 / 8
"""Weight of a new sample in the smoothed round trip (RFC 6298)."""
RTT_BETA: Final = 1 / 4
"""Weight of a new deviation in the round trip's variation (RFC 6298)."""

RTO_VARIATIONS: Final = 4
"""An acknowledgement is late after the round trip plus this many variations (RFC 6298's K)."""
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
"""Longest name, UTF-8: in a call message, of a contact, and as an option. Of longer names this much is compared."""
FIRST_ENGINE_MESSAGE: Final = 64
"""Control message types from here on belong to the owner of the line and are passed on unchanged."""
REKEY_HEADER_BYTES: Final = 2
"""Header of a REKEY message: which of the two messages u8, part u8; the parts of one message come in order."""
REKEY_PART_BYTES: Final = CONTROL_BODY_BYTES - REKEY_HEADER_BYTES
"""Bytes in each part but the last."""
REKEY_FIRST_BYTES: Final = (
    KEY_BYTES + (KEM_PUBLIC_BYTES + TAG_BYTES) + (KEY_BYTES + TAG_BYTES) + (INDEX_BYTES + TAG_BYTES)
)
"""IKhfs message 1 with an index: e, e1, s, payload: 1300, in fourteen parts."""
REKEY_SECOND_BYTES: Final = KEY_BYTES + (KEM_CIPHERTEXT_BYTES + TAG_BYTES) + (INDEX_BYTES + TAG_BYTES)
"""IKhfs message 2 with an index: e, ekem1, payload: 1156, in thirteen parts."""

# --- safety number (never sent: people compare it) ----------------------------------------------------------
SAFETY_LABEL: Final = b"p2pcall safety number 1"
"""Salt of the iterated hash. It does not change with the protocol, so that compared numbers stay valid."""
SAFETY_ROUNDS: Final = 4096
"""Rounds of PBKDF2-HMAC-SHA512 for one key: finding a key with a given half costs 2^13 times as much. Takes 4 ms."""
SAFETY_HALF_GROUPS: Final = 6
"""Groups for one key: 30 digits, 99.7 bits. Both keys together have twelve."""
SAFETY_GROUP_DIGITS: Final = 5
"""As many digits as people read out in one breath."""
SAFETY_GROUP_BYTES: Final = 5
"""Hash bytes that give one group: eleven million times as many values as a group has, so all are equally likely."""
URI_VERSION: Final = 1
"""In `p2pcall:safety/` and `p2pcall:id/`."""

# --- presence (in TXT records of multicast DNS) --------------------------------------------------------------
PRESENCE_LABEL: Final = b"p2pcall presence 1"
"""Begins the hash of the key that an announcer and a contact share for announcements."""
PRESENCE_PERIOD_S: Final = 900
"""What is announced changes with each period of this many seconds. Previous and next period are tried too, so clocks
may differ by one period."""
PRESENCE_NUMBER_BYTES: Final = 8
"""The period's number, where it is hashed: signed, big-endian."""
PRESENCE_NONCE_BYTES: Final = 16
"""Random for each announcement, so that two of the same period have nothing in common either."""
PRESENCE_MARK_BITS: Final = 2
"""The lowest bits of the nonce's first byte are those of the period, so that only one period is tried."""
PRESENCE_TAG_BYTES: Final = 6
"""A contact recognises an announcement by this much: among a thousand records by chance once in 2^31 times."""
PRESENCE_PORT_BYTES: Final = 2
"""The port, encrypted for one contact."""
PRESENCE_STRINGS: Final = 8
"""Strings of values in a TXT record: with PRESENCE_STRING_VALUES 128 values, so that all records of an announcement
with one of them fit one packet of mDNS."""
PRESENCE_STRING_VALUES: Final = 16
"""Values in each string: 128 bytes of the 255 that a string of a TXT record holds."""
PRESENCE_MAX_TEXTS: Final = 1024
"""Records looked at in one period; later ones are ignored. With the most contacts this takes two seconds."""

# --- end of a line and bounds of its queues -----------------------------------------------------------------
LINGER_S: Final = 1.0
"""How long after the end a goodbye is repeated, or the other side's is acknowledged again; after a refusal, how long
both sides go on as if it were ringing."""
GOODBYE_COPIES: Final = 2
"""Copies of a goodbye sent at once when a call that is up ends, because the process may have to exit at once."""
MAX_OUTBOX_DATAGRAMS: Final = 1024
"""Datagrams waiting to be drained; above it the oldest is dropped, because late ones are worth less."""
MAX_EVENTS: Final = 4096
"""Events waiting to be drained; above it payloads (never a call's events) are dropped and counted."""
