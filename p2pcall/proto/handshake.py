"""One Noise XX handshake over three datagrams, from either side, without timers or addresses.

`Initiator` makes the initiation and reads responses; `Responder` reads an initiation, makes the response
and reads confirmations. Both end in an `Established`. What does not fit is refused with a `DropReason` and
leaves no trace.

Message 1 of XX carries no ciphertext, so one and the same serves any cipher: the responder chooses among
those offered, and the initiator builds its HandshakeState when it knows the choice. The prologue holds both
cleartext headers (versions, offer, choice, indexes), so whoever changes one on the path makes the handshake
fail.
"""

from dataclasses import dataclass

from p2pcall.proto import constants as c
from p2pcall.proto import noise, sas, wire
from p2pcall.proto.noise import Cipher, Entropy, HandshakeState, KeyPair, NoiseError
from p2pcall.proto.session import Session
from p2pcall.proto.wire import DropReason, Suites

StaticKey = KeyPair
"""A long-term X25519 key pair: who somebody is."""

CIPHERS: dict[Suites, Cipher] = {Suites.AESGCM: noise.AESGCM, Suites.CHACHAPOLY: noise.CHACHAPOLY}
"""In the order of the responder's preference: AES is only offered where the CPU is quick at it."""


@dataclass(frozen=True, slots=True)
class Established:
    """What a finished handshake leaves."""

    session: Session
    remote_static: bytes
    handshake_hash: bytes
    protocol_name: str
    sas: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class KeyChanged:
    """The responder proved a key that is not the expected one; nothing of ours has been shown to it."""

    remote_static: bytes


def suites(aes: bool) -> Suites:
    """What a side can do."""
    return Suites.CHACHAPOLY | Suites.AESGCM if aes else Suites.CHACHAPOLY


def _prologue(initiation_header: bytes, response_header: bytes) -> bytes:
    return c.PROLOGUE_LABEL + initiation_header + response_header


def _established(
    state: HandshakeState, remote_index: int, initiator_nonce: bytes, responder_nonce: bytes
) -> Established:
    return Established(
        Session(*state.split(), remote_index),
        state.remote_static,
        state.handshake_hash,
        state.protocol_name,
        sas.words(state.handshake_hash, initiator_nonce, responder_nonce),
    )


class Initiator:
    """The dialling side. Send `initiation`; after an Established send `confirmation`."""

    def __init__(
        self,
        static: StaticKey,
        entropy: Entropy,
        index: int,
        offered: Suites,
        expected_static: bytes | None = None,
    ) -> None:
        self._static = static
        self._offered = offered
        self._expected_static = expected_static
        self._ephemeral = KeyPair.generate(entropy)
        self._nonce = entropy(c.NONCE_BYTES)
        self._header = wire.pack_initiation_header(offered, index)
        commitment = sas.commitment(self._nonce, static.public)
        self._payload = commitment.ljust(c.INITIATION_PAYLOAD_BYTES, b"\0")
        self.initiation = self._header + self._ephemeral.public + self._payload
        self.confirmation = b""

    def read_response(self, response: wire.Response) -> Established | KeyChanged | DropReason:
        """Judge a response that bears our index; after a refusal another one may follow."""
        if response.chosen not in self._offered:
            return DropReason.SUITE
        state = HandshakeState(
            noise.XX,
            CIPHERS[response.chosen],
            True,
            _prologue(self._header, response.header),
            self._static,
            e=self._ephemeral,
        )
        state.write_message(self._payload)
        try:
            responder_nonce = state.read_message(response.noise)
            if self._expected_static is not None and state.remote_static != self._expected_static:
                return KeyChanged(state.remote_static)
            message = state.write_message(self._nonce)
        except NoiseError:
            return DropReason.HANDSHAKE
        self.confirmation = wire.pack_confirmation_header(response.sender_index) + message
        return _established(state, response.sender_index, self._nonce, responder_nonce)


class Responder:
    """The called side, half open: send `response` to whoever brings the same initiation."""

    def __init__(
        self, state: HandshakeState, response: bytes, remote_index: int, nonce: bytes, payload: bytes
    ):
        self.response = response
        self._state = state
        self._remote_index = remote_index
        self._nonce = nonce
        self._commitment = payload[: c.HASH_BYTES]

    @classmethod
    def answer(
        cls, static: StaticKey, entropy: Entropy, index: int, able: Suites, initiation: wire.Initiation
    ) -> "Responder | DropReason":
        """Answer a fresh initiation: this costs three DH operations."""
        chosen = next((suite for suite in CIPHERS if suite & able & initiation.offered), None)
        if chosen is None:
            return DropReason.SUITE
        header = wire.pack_response_header(chosen, index, initiation.sender_index)
        prologue = _prologue(initiation.header, header)
        state = HandshakeState(noise.XX, CIPHERS[chosen], False, prologue, static, entropy=entropy)
        nonce = entropy(c.NONCE_BYTES)
        try:
            payload = state.read_message(initiation.noise)
            message = state.write_message(nonce)
        except NoiseError:
            return DropReason.HANDSHAKE
        return cls(state, header + message, initiation.sender_index, nonce, payload)

    def read_confirmation(self, message: bytes) -> Established | DropReason:
        """Judge a confirmation that bears our index; after a refusal by HANDSHAKE another one may follow."""
        try:
            initiator_nonce = self._state.read_message(message)
        except NoiseError:
            return DropReason.HANDSHAKE
        if not sas.commitment_holds(self._commitment, initiator_nonce, self._state.remote_static):
            return DropReason.COMMITMENT
        return _established(self._state, self._remote_index, initiator_nonce, self._nonce)
