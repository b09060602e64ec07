"""One Noise handshake from either side, without timers or addresses: XXhfs or IKhfs, three messages.

`Initiator` makes the initiation and reads responses; `Responder` reads an initiation, makes the response and
reads confirmations. Both end in an `Established`. Bad messages are refused with a `DropReason` and change no state.

Knock and cookie agree on pattern, offer and choice, in the clear. The initiation's header repeats them; the prologue
contains this header and the roles, and the responder makes the choice again. So if anybody changes one of them on the
path, the handshake fails. XXhfs has three messages. IKhfs has two, so its third is an empty plaintext, sealed with the
initiator's sending key under Noise's nonce 0. In both cases the responder's line begins with the third message, which
shows that the initiator is there now. Both sides have committed to a nonce by then, and show it later (`sas`).
"""

from collections.abc import Callable

from msgspec import Struct, field

from p2pcall.proto import constants as c
from p2pcall.proto import wire
from p2pcall.proto.handshake import kem, noise, sas
from p2pcall.proto.handshake.kem import Encapsulate
from p2pcall.proto.handshake.noise import Cipher, CipherState, HandshakeState, KeyPair, NoiseError, Pattern
from p2pcall.proto.wire import DropReason, PatternId, Suites
from p2pcall.types import Entropy

StaticKey = KeyPair
"""A long-term X25519 key pair: a person's identity."""

CIPHERS: dict[Suites, Cipher] = {Suites.AESGCM: noise.AESGCM, Suites.CHACHAPOLY: noise.CHACHAPOLY}
"""In the order of the responder's preference: AES is only offered where the CPU is quick at it."""

PATTERNS: dict[PatternId, Pattern] = {PatternId.XXHFS: noise.XXHFS, PatternId.IKHFS: noise.IKHFS}


class Local(Struct, frozen=True):
    """This side's input to each handshake. `encapsulate` is ML-KEM's, unless tests need the same bytes again.

    After a change of our key, `untold` are the contacts who know us by the `former` one: towards them we are the former
    key, and to nobody else. They may have been told without our hearing of it, so both keys are tried with them.
    """

    static: StaticKey
    entropy: Entropy
    encapsulate: Encapsulate = kem.encapsulate
    former: StaticKey | None = None
    untold: set[bytes] = field(default_factory=set)

    def towards(self, remote: bytes | None) -> tuple[StaticKey, ...]:
        """Our keys for the owner of this one, the likelier first; None: they are not known yet."""
        if self.former is None or remote not in self.untold:
            return (self.static,)
        return self.former, self.static

    def answering(self, pattern: PatternId) -> tuple[StaticKey, ...]:
        """Our keys that an initiation may be for: only IKhfs is for a certain one."""
        if self.former is None or not self.untold or pattern is not PatternId.IKHFS:
            return (self.static,)
        return self.static, self.former


class Established(Struct, frozen=True):
    """The result of a finished handshake. `confirmation` is the initiator's last datagram, to be sent."""

    sending: CipherState
    receiving: CipherState
    remote_index: int
    """The receiver index in our datagrams."""
    remote_static: bytes
    local_static: StaticKey
    """Our key in this handshake."""
    handshake_hash: bytes
    protocol_name: str
    sas: sas.Exchange
    confirmation: bytes = b""


class KeyChanged(Struct, frozen=True):
    """The responder proved a key that is not the expected one; it has learned nothing about us."""

    remote_static: bytes


class Initiation(Struct, frozen=True):
    """A whole initiation, both parts joined."""

    pattern: PatternId
    offered: int
    chosen: Suites
    sender_index: int
    noise: bytes

    @property
    def header(self) -> bytes:
        """The header that must precede the Noise message; the prologue contains it."""
        return wire.pack_initiation_header(self.pattern, self.offered, self.chosen, self.sender_index)


def suites(aes: bool) -> Suites:
    """The suites that a side supports; `aes`: it supports AES-256-GCM."""
    return Suites.CHACHAPOLY | Suites.AESGCM if aes else Suites.CHACHAPOLY


def choose_suite(offered: int, able: Suites) -> Suites | None:
    """The responder's choice; None if there is nothing in common."""
    return next((suite for suite in CIPHERS if suite & able & offered), None)


def _established(
    state: HandshakeState,
    keys: tuple[CipherState, CipherState],
    remote_index: int,
    nonce: bytes,
    committed: bytes,
    confirmation: bytes | None = None,
) -> Established:
    """`confirmation` is None on the responder's side."""
    initiator = confirmation is not None
    return Established(
        *keys,
        remote_index,
        state.remote_static,
        state.s,
        state.handshake_hash,
        state.protocol_name,
        sas.Exchange(initiator, nonce, state.handshake_hash, committed, state.remote_static),
        confirmation or b"",
    )


class Initiator:
    """The dialling side of one pattern and one choice. Send `initiation`, then pass responses to `read_response`."""

    def __init__(
        self,
        local: Local,
        index: int,
        pattern: PatternId,
        offered: Suites,
        chosen: Suites,
        remote_static: bytes | None = None,
        static: StaticKey | None = None,
    ) -> None:
        """`remote_static` is required for IKhfs; under XXhfs, if given, the responder must prove it. `static` is our
        key, if it is not the present one.

        NoiseError if `remote_static` is of low order.
        """
        static = static or local.static
        header = wire.pack_initiation_header(pattern, offered, chosen, index)
        known = remote_static if pattern is PatternId.IKHFS else None
        self._state = HandshakeState(
            PATTERNS[pattern],
            CIPHERS[chosen],
            True,
            c.PROLOGUE_LABEL + header,
            static,
            entropy=local.entropy,
            rs=known,
        )
        self._expected = remote_static
        self._nonce = local.entropy(c.NONCE_BYTES)
        committed = sas.commitment(self._nonce, static.public, initiator=True)
        self.initiation = header + self._state.write_message(committed)

    def read_response(self, message: bytes) -> Established | KeyChanged | DropReason:
        """Check message 2 of our pattern; after any result but an Established, another one may follow."""
        state = self._state
        saved = state.checkpoint()
        try:
            payload = state.read_message(message)
        except NoiseError:
            return DropReason.HANDSHAKE
        if self._expected not in (None, state.remote_static):
            changed = KeyChanged(state.remote_static)
            state.restore(saved)
            return changed
        committed = payload[: c.COMMITMENT_BYTES]
        remote_index = int.from_bytes(payload[c.COMMITMENT_BYTES :], "big")
        if state.finished:
            keys = state.split()
            last = keys[0].encrypt_with_ad(state.handshake_hash, b"")
        else:
            last = state.write_message(b"")
            keys = state.split()
        confirmation = wire.pack_confirmation_header(remote_index) + last
        return _established(state, keys, remote_index, self._nonce, committed, confirmation)


class Responder:
    """The called side, half open: send `response` to every sender of this initiation."""

    def __init__(
        self,
        state: HandshakeState,
        initiation: Initiation,
        committed: bytes,
        nonce: bytes,
        ours: bytes,
        index: int,
    ) -> None:
        """Write message 2, which costs the KEM and two DH; NoiseError if the initiator's keys are invalid.

        `committed` is the initiator's commitment, `ours` is our commitment to `nonce`.
        """
        self._state = state
        self._remote_index = initiation.sender_index
        self._committed = committed
        self._nonce = nonce
        message = state.write_message(ours + index.to_bytes(c.INDEX_BYTES, "big"))
        self.response = wire.pack_response_header(initiation.sender_index) + message
        self._keys = state.split() if state.finished else None

    @classmethod
    def answer(
        cls,
        local: Local,
        index: int,
        initiation: Initiation,
        admits: Callable[[bytes], bool],
    ) -> "Responder | DropReason":
        """Answer a new initiation; under IKhfs only if `admits` accepts the initiator's key.

        One for our former key is read by a second DH, and answered only to a contact who is still to be told.
        """
        for static in local.answering(initiation.pattern):
            state = HandshakeState(
                PATTERNS[initiation.pattern],
                CIPHERS[initiation.chosen],
                False,
                c.PROLOGUE_LABEL + initiation.header,
                static,
                entropy=local.entropy,
                encapsulate=local.encapsulate,
            )
            try:
                committed = state.read_message(initiation.noise)
                if state.rs is not None and not (
                    admits(state.rs) and (static is local.static or state.rs in local.untold)
                ):
                    return DropReason.STRANGER
                nonce = local.entropy(c.NONCE_BYTES)
                ours = sas.commitment(nonce, static.public, initiator=False)
                return cls(state, initiation, committed, nonce, ours, index)
            except NoiseError:
                pass
        return DropReason.HANDSHAKE

    def admitted(self, admits: Callable[[bytes], bool]) -> bool:
        """Whether the initiator may still open a line. Its key is known here only under IKhfs; True otherwise."""
        return self._keys is None or admits(self._state.remote_static)

    def read_confirmation(self, message: bytes) -> Established | DropReason:
        """Check a confirmation with our index; after a refusal another one may follow."""
        state = self._state
        try:
            if self._keys is None:
                state.read_message(message)
            else:
                self._keys[1].decrypt_with_ad(state.handshake_hash, message)
        except NoiseError:
            return DropReason.HANDSHAKE
        keys = self._keys or state.split()
        return _established(state, keys, self._remote_index, self._nonce, self._committed)
