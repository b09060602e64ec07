"""The spoken words: a short authentication string that both people read out and compare.

In an XXhfs handshake no key is known beforehand, so a man in the middle can run one handshake with each side. In
IKhfs he would need a static key; there are words in both. The words reveal him. They are four words of the PGP
list (Juola and Zimmermann, 1995: 256 words of two syllables and 256 of three, used in turn so that a dropped word is
noticed), taken from the first 32 bits of

    SHA256(label | handshake hash | initiator's nonce | responder's nonce)

The order in which the parts become known (the idea is ZRTP's, RFC 6189 section 4.4.1.1, taken one step further):

1. Message 1 carries the initiator's commitment, SHA256(label | nonce | static key) cut to COMMITMENT_BYTES;
   message 2 carries the responder's. After message 3 the handshake hash and so the words are fixed, but neither
   side knows them.
2. The responder shows its nonce with ACCEPT, when a person or the auto-answer rule has answered.
3. The initiator shows its nonce, in REVEAL, only if the responder's nonce matches the responder's commitment.

So a man in the middle sees the words of one try only after a call is answered, when he can change nothing any more.
He has one chance in 2^32 for each answered call, and cannot try unseen. A nonce that does not match its commitment
ends the call.
"""

import hmac
from hashlib import sha256
from typing import Final

from msgspec import Struct

from p2pcall.proto.constants import COMMITMENT_BYTES, INITIATOR_LABEL, RESPONDER_LABEL, SAS_LABEL, SAS_WORDS


def commitment(nonce: bytes, static: bytes, *, initiator: bool) -> bytes:
    """The commitment to a nonce and a key: the initiator's for message 1, the responder's for message 2."""
    label = INITIATOR_LABEL if initiator else RESPONDER_LABEL
    return sha256(label + nonce + static).digest()[:COMMITMENT_BYTES]


def sas_words(handshake_hash: bytes, initiator_nonce: bytes, responder_nonce: bytes) -> tuple[str, ...]:
    """The words of this handshake, the same on both sides."""
    digest = sha256(SAS_LABEL + handshake_hash + initiator_nonce + responder_nonce).digest()
    return tuple((EVEN, ODD)[place % 2][byte] for place, byte in enumerate(digest[:SAS_WORDS]))


class Exchange(Struct, frozen=True):
    """One side of a finished handshake, before the nonces are shown. `nonce` is ours."""

    initiator: bool
    nonce: bytes
    handshake_hash: bytes
    committed: bytes
    """The other side's commitment."""
    remote_static: bytes
    """The other side's key."""

    def words(self, theirs: bytes) -> tuple[str, ...] | None:
        """The words, once the other side has shown its nonce; None if it does not match the commitment."""
        promised = commitment(theirs, self.remote_static, initiator=not self.initiator)
        if not hmac.compare_digest(promised, self.committed):
            return None
        nonces = (self.nonce, theirs) if self.initiator else (theirs, self.nonce)
        return sas_words(self.handshake_hash, *nonces)


_EVEN_WORDS: Final = """
aardvark absurd accrue acme adrift adult afflict ahead aimless Algol allow alone ammo ancient apple artist
assume Athens atlas Aztec baboon backfield backward banjo beaming bedlamp beehive beeswax befriend Belfast
berserk billiard bison blackjack blockade blowtorch bluebird bombast bookshelf brackish breadline breakup
brickyard briefcase Burbank button buzzard cement chairlift chatter checkup chisel choking chopper
Christmas clamshell classic classroom cleanup clockwork cobra commence concert cowbell crackdown cranky
crowfoot crucial crumpled crusade cubic dashboard deadbolt deckhand dogsled dragnet drainage dreadful
drifter dropper drumbeat drunken Dupont dwelling eating edict egghead eightball endorse endow enlist erase
escape exceed eyeglass eyetooth facial fallout flagpole flatfoot flytrap fracture framework freedom
frighten gazelle Geiger glitter glucose goggles goldfish gremlin guidance hamlet highchair hockey indoors
indulge inverse involve island jawbone keyboard kickoff kiwi klaxon locale lockup merit minnow miser
Mohawk mural music necklace Neptune newborn nightbird Oakland obtuse offload optic orca payday peachy
pheasant physique playhouse Pluto preclude prefer preshrunk printer prowler pupil puppy python quadrant
quiver quota ragtime ratchet rebirth reform regain reindeer rematch repay retouch revenge reward rhythm
ribcage ringbolt robust rocker ruffled sailboat sawdust scallion scenic scorecard Scotland seabird select
sentence shadow shamrock showgirl skullcap skydive slingshot slowdown snapline snapshot snowcap snowslide
solo southward soybean spaniel spearhead spellbind spheroid spigot spindle spyglass stagehand stagnate
stairway standard stapler steamship sterling stockman stopwatch stormy sugar surmount suspense sweatband
swelter tactics talon tapeworm tempest tiger tissue tonic topmost tracker transit trauma treadmill Trojan
trouble tumor tunnel tycoon uncut unearth unwind uproot upset upshot vapor village virus Vulcan waffle
wallet watchword wayside willow woodlark Zulu
"""
_ODD_WORDS: Final = """
adroitness adviser aftermath aggregate alkali almighty amulet amusement antenna applicant Apollo armistice
article asteroid Atlantic atmosphere autopsy Babylon backwater barbecue belowground bifocals bodyguard
bookseller borderline bottomless Bradbury bravado Brazilian breakaway Burlington businessman butterfat
Camelot candidate cannonball Capricorn caravan caretaker celebrate cellulose certify chambermaid Cherokee
Chicago clergyman coherence combustion commando company component concurrent confidence conformist
congregate consensus consulting corporate corrosion councilman crossover crucifix cumbersome customer
Dakota decadence December decimal designing detector detergent determine dictator dinosaur direction
disable disbelief disruptive distortion document embezzle enchanting enrollment enterprise equation
equipment escapade Eskimo everyday examine existence exodus fascinate filament finicky forever fortitude
frequency gadgetry Galveston getaway glossary gossamer graduate gravity guitarist hamburger Hamilton
handiwork hazardous headwaters hemisphere hesitate hideaway holiness hurricane hydraulic impartial impetus
inception indigo inertia infancy inferno informant insincere insurgent integrate intention inventive
Istanbul Jamaica Jupiter leprosy letterhead liberty maritime matchmaker maverick Medusa megaton microscope
microwave midsummer millionaire miracle misnomer molasses molecule Montana monument mosquito narrative
nebula newsletter Norwegian October Ohio onlooker opulent Orlando outfielder Pacific pandemic Pandora
paperweight paragon paragraph paramount passenger pedigree Pegasus penetrate perceptive performance
pharmacy phonetic photograph pioneer pocketful politeness positive potato processor provincial proximate
puberty publisher pyramid quantity racketeer rebellion recipe recover repellent replica reproduce resistor
responsive retraction retrieval retrospect revenue revival revolver sandalwood sardonic Saturday savagery
scavenger sensation sociable souvenir specialist speculate stethoscope stupendous supportive surrender
suspicious sympathy tambourine telephone therapist tobacco tolerance tomorrow torpedo tradition travesty
trombonist truncated typewriter ultimate undaunted underfoot unicorn unify universe unravel upcoming
vacancy vagabond vertigo Virginia visitor vocalist voyager warranty Waterloo whimsical Wichita Wilmington
Wyoming yesteryear Yucatan
"""
EVEN: Final = tuple(_EVEN_WORDS.split())
"""Words of two syllables, for the bytes at even places."""
ODD: Final = tuple(_ODD_WORDS.split())
"""Words of three syllables, for the bytes at odd places."""
