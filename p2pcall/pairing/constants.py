"""Every number of the first contact by a code on one page: on the wire or in a timer, with its unit and its reason.

Sizes are in bytes and times in seconds unless the name says otherwise.
"""

from typing import Final

# --- the code -----------------------------------------------------------------------------------------------
MAX_CODE_NUMBER: Final = 999
"""The number is from 1 to this: it tells invites on one network apart, and is no secret."""
CODE_WORDS: Final = 2
"""Least number of words: 8 bits each. A guess succeeds with 2^-16, and there is only one."""
MAX_CODE_WORDS: Final = 8
"""Most words that an invite may have; nobody reads out more."""
CODE_PREFIX_CHARS: Final = 3
"""So many letters of a word are enough, if no other word begins with them."""
MAX_CODE_CHARS: Final = 512
"""A longer text is no code and no URI."""
MAX_CODE_ADDRESSES: Final = 4
"""Addresses in an invite's URI: with more, the QR code would be too large for a terminal."""
INVITE_URI_VERSION: Final = 1

# --- labels -------------------------------------------------------------------------------------------------
PAIRING_VERSION: Final = 1
"""Second byte of every datagram; another version is dropped."""
INVITER_ID: Final = b"p2pcall/1 inviter"
"""SPAKE2's name of side A."""
JOINER_ID: Final = b"p2pcall/1 joiner"
"""SPAKE2's name of side B."""
TRANSCRIPT_LABEL: Final = b"p2pcall/1 pairing transcript"
"""Domain of the hash over all that both sides have said before the proof."""
PAIRING_KEYS_LABEL: Final = b"p2pcall/1 pairing keys"
"""HKDF's info."""
INVITER_POSSESSION_LABEL: Final = b"p2pcall/1 inviter's key"
"""Domain of the proof that the inviter has the private key of the public key that it gives."""
JOINER_POSSESSION_LABEL: Final = b"p2pcall/1 joiner's key"
"""Domain of the joiner's; it differs, so that neither proof can be sent back."""

# --- datagrams ----------------------------------------------------------------------------------------------
PAIRING_TOKEN_BYTES: Final = 16
"""The joiner's random token: answers echo it, so nobody off the path can give one."""
ELEMENT_BYTES: Final = 33
"""A message of SPAKE2: the side, then an element of the group."""
QUERY_PADDING_BYTES: Final = 19
"""Zeros: the question is longer than the answer, which anybody can ask for in somebody else's name."""
QUERY_BYTES: Final = 104
"""type, version, number u16, token, element, ephemeral key, padding."""
OFFER_BYTES: Final = 85
"""type, version, 0, 0, token, element, ephemeral key."""
INTRODUCTION_BYTES: Final = 256
"""Public key, proof of possession, length of the name u8, name, zeros: room for later fields, such as addresses;
and the length tells nothing of the name."""
SEALED_INTRODUCTION_BYTES: Final = INTRODUCTION_BYTES + 16
"""The same and the tag."""
PROOF_BYTES: Final = 389
"""type, version, number u16, token, element, ephemeral key, MAC, sealed introduction."""
RESULT_BYTES: Final = 324
"""type, version, 0, 0, token, MAC, sealed introduction."""
REFUSAL_BYTES: Final = 20
"""type, version, 0, 0, token."""
DONE_BYTES: Final = 52
"""type, version, 0, 0, token, MAC."""

# --- times --------------------------------------------------------------------------------------------------
INVITE_S: Final = 600.0
"""How long a code works."""
RESEND_S: Final = 0.5
"""Interval at which the joiner repeats what has got no answer."""
QUERY_TIMEOUT_S: Final = 5.0
"""How long the joiner asks before nobody is there: as for a call."""
PROOF_TIMEOUT_S: Final = 10.0
"""How long the joiner waits for the result: the inviter first writes the contact to its disk."""
REFUSAL_LINGER_S: Final = 1.0
"""How long a refusal is repeated to a joiner who repeats the proof, which has been lost at most once then."""
DONE_TIMEOUT_S: Final = 5.0
"""How long the inviter waits to hear that the joiner has kept it, too."""
DONE_COPIES: Final = 3
"""The last datagram has no answer, so it is sent so many times."""
