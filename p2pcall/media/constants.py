"""Every number of the media layer: what is on the wire, in a timer, or bounds a queue.

Rule: nowhere else in `media` is there a number that has a meaning on the network or in time. Each has its
unit in the name (seconds: `_S`) and its reason beside it. Leaves out what the codecs decide for themselves.
"""

from typing import Final

from p2pcall.proto.constants import MAX_PAYLOAD_BYTES as MAX_PAYLOAD_BYTES
from p2pcall.proto.constants import MAX_U8 as MAX_U8
from p2pcall.proto.constants import MAX_U32 as MAX_U32
from p2pcall.proto.constants import SLACK_BYTES as SLACK_BYTES

# --- sound: the form that every part agrees on --------------------------------------------------------------
SAMPLE_RATE_HZ: Final = 48_000
SAMPLE_BYTES: Final = 2
"""Signed 16-bit little-endian mono."""
FRAME_MS: Final = 20
"""One Opus frame; shorter costs header bytes, longer costs delay."""
FRAME_S: Final = FRAME_MS / 1000
FRAME_SAMPLES: Final = SAMPLE_RATE_HZ * FRAME_MS // 1000
FRAME_BYTES: Final = SAMPLE_BYTES * FRAME_SAMPLES
OPUS_CONFIG_SAMPLES: Final = (
    *(480, 960, 1_920, 2_880) * 3,
    *(480, 960) * 2,
    *(120, 240, 480, 960) * 4,
)
"""Of one frame in each configuration of Opus (RFC 6716, 3.1): three bandwidths of SILK, two hybrid, four of CELT."""
OPUS_HYBRID_FROM: Final = 12
"""Configurations from this one on are hybrid, ..."""
OPUS_CELT_FROM: Final = 16
"""... and from this one on CELT; those before are SILK."""
OPUS_CODE_FRAMES: Final = (1, 2, 2, 0)
"""In an Opus packet of each code; of the last code the next byte has the count, in its low six bits."""
PCM_MAX: Final = 32_767
"""Full scale."""
TICK_MS: Final = 10
"""What frames of sound are numbered in: the shortest frame that is sent."""
TICK_S: Final = TICK_MS / 1000
TICK_SAMPLES: Final = SAMPLE_RATE_HZ * TICK_MS // 1000
TICK_BYTES: Final = SAMPLE_BYTES * TICK_SAMPLES
FRAME_LENGTHS: Final = (1, 2, 4, 6)
"""Ticks that an Opus frame may have: 10, 20, 40 and 60 ms. Shorter ones cost header bytes, longer ones delay."""
CAPTURE_GAP_S: Final = 0.03
"""Capture stood still for a frame and a half: more than a card's clock is ever uneven."""

# --- the wire -----------------------------------------------------------------------------------------------
MAX_U16: Final = 0xFFFF
AUDIO_HEADER_BYTES: Final = 9
"""tick u32, capture_ms u32, count u8. No wrap in a call: ticks last 1.3 years, capture_ms 49 days."""
AUDIO_COPY_HEADER_BYTES: Final = 3
"""Distance u8, length u16."""
MAX_AUDIO_COPIES: Final = 4
"""The newest frame and at most three earlier ones."""
VIDEO_PAYLOAD_BYTES: Final = (381, 765, 1_165)
"""A fragment is padded to one; 384, 768, 1168 with the frame header."""
MAX_COPY_DISTANCE: Final = 32
"""Ticks: an older copy (320 ms) comes after its time at any depth."""
VIDEO_HEADER_BYTES: Final = 13
"""frame_id u32, capture_ms u32, index u16, count u16, flags u8."""
VIDEO_FRAGMENT_BYTES: Final = 1_100
"""With its header below MAX_PAYLOAD_BYTES."""
MAX_FRAGMENTS: Final = 512
"""A coded picture of 512 KiB; ours are 1-30."""
MAX_VIDEO_FRAME_BYTES: Final = 512 * 1024
FLAG_KEY: Final = 0x01
FEEDBACK_NACK: Final = 1
FEEDBACK_KEY: Final = 2
FEEDBACK_REPORT: Final = 3
FEEDBACK_PLAYED: Final = 4
FEEDBACK_ASK: Final = 5
PLAYED_STANDS: Final = 0xFFFF
"""In place of what a speaker has in hand: it does not run."""
MAX_NACK_INDEXES: Final = 51
"""With its headers it fits the slack of 112 bytes in a record of voice."""
REPORT_JITTER_PER_MS: Final = 10
"""A report tells jitter in tenths of a millisecond."""
REPORT_LOSS_ONE: Final = 0xFFFF
"""And loss in parts of this."""
REPORT_INTERVAL_S: Final = 1.0
"""50 packets: loss to 2 %; an answer to a change within two seconds."""

# --- levels of voice: frames, bits and copies -----------------------------------------------------------------
VOICE_BPS: Final = 48_000
"""On a good path, in frames of 20 ms."""
VOICE_RUNGS: Final = (
    (6, 10_800, True, False, 8, 0),
    (6, 20_000, True, False, 8, 0),
    (4, 24_000, True, False, 8, 0),
    (4, 24_000, True, False, 4, 1),
    (2, 24_000, True, False, 4, 1),
    (2, 32_000, True, False, 2, 1),
    (2, VOICE_BPS, False, False, 1, 1),
    (1, VOICE_BPS, False, True, 4, 1),
    (1, 96_000, False, True, 1, 1),
    (4, 24_000, True, False, 2, 2),
    (2, VOICE_BPS, False, False, 1, 2),
)
"""Ticks of a frame, bits a second, nothing above 8 kHz, low delay, each so manieth packet with room, copies at least.
PESQ-WB of espeak-ng's voices in a room, codec alone at complexity 8, and kb/s of the path with all headers: 2.85 (23),
4.00 (33), 4.22 (43), 4.22 (72), 4.22 (95), 4.48 (127), 4.45 (172), 4.04 (190), 4.53 (344), 4.22 (104), 4.45 (221).
Frames of 20 ms at 12, 16, 24, 32, 40, 48, 64 kb/s have 2.9, 3.1, 3.8, 4.15, 4.3, 4.45, 4.55, held to 8 kHz at 24 and
32 kb/s 4.22 and 4.48; of 10 ms 2.4, 3.0, 3.4, 3.9, 4.2, 4.4, 4.5, with low delay 1.9, 2.5, 3.1, 3.5, 3.85, 4.05, 4.25,
and at 80 and 96 kb/s 4.47 and 4.53; of 40 and 60 ms as of 20, but at 12 kb/s 3.1. Steps are small enough for a try that
fails to be hardly heard."""
VOICE_LADDER_FAST: Final = (0, 1, 2, 3, 4, 7, 8)
VOICE_LADDER_NORMAL: Final = (0, 1, 2, 3, 4, 5, 6, 8)
VOICE_LADDER_SAFE: Final = (0, 1, 2, 3, 9, 10)
"""Rungs of each profile, the poorest path first."""
VOICE_ROOM_BYTES: Final = 160
"""Of small frames where not each packet has room for them: a message of 109, a ping, a pong and an acknowledgement, of
which one or the other is always due; in SLACK_BYTES the message would never find its place."""
VOICE_RUNG_OF_FILES: Final = 6
"""Taken where frames of one tick would be, but sound comes in pieces of two: then these are sent as often."""
VOICE_AROUND_BYTES: Final = 63
"""Of each packet beside its payload: IPv4 20, UDP 8, record 32, frame header 3."""
COPY_PATTERNS: Final = (
    *((), (1,), (1, 2), (1, 2, 4)),
    *((2,), (3,), (4,)),
    *((1, 3), (2, 4), (2, 5), (3, 6), (4, 8)),
    *((1, 3, 6), (2, 4, 7), (2, 5, 8), (3, 6, 9), (4, 8, 12)),
)
"""Distances of the copies in packets; those that are taken unless loss says otherwise come first, by their number."""
COPY_RESIDUAL: Final = 0.0015
"""Of the frames are missing for good: then concealment costs no 0.1 PESQ."""
COPY_RESIDUAL_PLACES: Final = 3
"""Where no copies are enough, a difference below is none that a longer wait is worth."""
COPY_LOSS_STEPS: Final = 100
"""Loss counts in hundredths."""
COPY_MAX_BURST: Final = 12
"""Packets; copies reach no further."""
COPY_LEAST_GOOD: Final = 0.05
"""For which part the path is taken to be good at least, so that the model holds at any loss."""
COPY_REACH_FAST: Final = 6
COPY_REACH_NORMAL: Final = 16
COPY_REACH_SAFE: Final = 24
"""Ticks that the oldest copy may be behind: what the other side would have to wait for it."""

# --- which level is taken ---------------------------------------------------------------------------------------
STEER_LEAST_S: Final = 0.5
"""Between two reports that count: whoever says more often says no more."""
STEER_LONGEST_S: Final = 3.0
"""A gap between two reports that is longer says nothing of how fast a queue has grown."""
STEER_QUEUE_S: Final = 0.1
"""Packets that stand so long in a queue are heard as delay; less is jitter."""
STEER_MAX_QUEUE_S: Final = 10.0
"""Longer queues are taken for this."""
STEER_QUEUE_GROWS_S: Final = 0.03
"""A queue that has grown by less since the last report may be somebody else's."""
STEER_QUEUE_LOSS: Final = 0.05
"""With so much loss it is full, and it need not grow to be ours."""
STEER_EMPTY_S: Final = 0.05
"""With less there is room to go up."""
STEER_FIT: Final = 0.85
"""Of what has come through is sent when it was too much, and ..."""
STEER_DRAIN_S: Final = 4.0
"""... less by the queue over this, so that it empties, but ..."""
STEER_LEAST_FIT: Final = 0.5
"""... no less than this."""
STEER_WORSE: Final = 0.8
"""More bits have made it worse if so much less comes through as before."""
STEER_TRY_LOSS: Final = 0.08
"""So much more loss on a rung that is tried, and it is left again."""
STEER_CHANCE: Final = 2.0
"""Standard deviations by which loss has to differ before it is more than chance."""
STEER_WATCH_S: Final = 6.0
"""For so long more bits are to blame for what gets worse."""
STEER_UP_S: Final = 1.5
"""A level is kept so long, and a round trip, before the next one up is tried: two reports."""
STEER_UP_MAX_S: Final = 8.0
"""And twice as long after each try at a rung that failed, up to this: the path may be better any moment; ..."""
STEER_UP_MAX_TICK_S: Final = 60.0
"""... up to this for frames of one tick, which are twice as much and can be done without."""
STEER_HELD_S: Final = 20.0
"""A rung that was left sooner has not held: a queue may grow slowly."""
STEER_NOISE: Final = 0.04
"""One report of 50 packets may tell so much more loss than there is."""
STEER_COPIES_S: Final = 4.0
"""After copies have made it worse, none are added for so long, and twice as long each time, ..."""
STEER_COPIES_MAX_S: Final = 60.0
"""... up to this."""
STEER_FEWER_S: Final = 5.0
"""Fewer copies only after so long in which fewer were enough."""
STEER_MEMORY: Final = 0.75
"""Of what reports have said of loss until now counts with the next one."""
STEER_MAX_RTT_S: Final = 2.0
"""Longer round trips are not waited for."""

# --- jitter buffer ------------------------------------------------------------------------------------------
FRAME_TICKS: Final = FRAME_MS // TICK_MS
JITTER_SLACK_S: Final = 0.005
"""The speaker's own unevenness: callbacks measured p99 1.3 ms, max 3.2 ms."""
JITTER_MAX_WAIT_S: Final = 0.24
"""More is no conversation: what is later than this is an outage."""
JITTER_MAX_FRAMES: Final = 100
"""One second of the shortest frames held at most; the oldest go."""
JITTER_BUCKET_S: Final = 0.002
"""Resolution of the lateness histogram."""
JITTER_FORGET: Final = 0.997
"""Each frame of 20 ms weighs 0.3 %: a memory of some 7 s; one late frame alone moves nothing."""
JITTER_TOTAL_WEIGHT: Final = (
    1e6  # of all frames, before it is brought back to 1: far from where a float loses the light
)
JITTER_QUANTILE: Final = 0.995
"""This part of the frames shall be in time."""
JITTER_BASE_WINDOW_S: Final = 5.0
"""The fastest of the last 5-10 s is "in time"; 300 ppm are 3 ms in it."""
JITTER_START_S: Final = 0.01
"""Before anything is known: half a frame of jitter."""
JITTER_RECOVERY_FORGET: Final = 0.98
"""Each frame that came back as a copy weighs 2 %: a memory of fifty."""
JITTER_RECOVERY_QUANTILE: Final = 0.85
"""This part of the copies is waited for: the nearest under 10 % loss, the second nearest under 20."""
JITTER_RECOVERY_BEST: Final = 0.95
"""And this part ..."""
JITTER_RECOVERY_CHEAP_S: Final = 0.05
"""... if it takes no longer than this: the second copy of frames of 20 ms. (PESQ-WB at 10 % loss with 0.03 here: 3.87
in place of 4.17, 7 ms sooner.)"""
JITTER_RECOVERY_RUN: Final = 4
"""So many frames came back as copies ..."""
JITTER_RECOVERY_S: Final = 6.0
"""... in so long: losses are really mended that way, and worth waiting for, until none does for so long."""
JITTER_RECOVERY_STEADY_S: Final = 10.0
"""They are waited for less only after so long in which less was enough: each change costs more than a longer wait."""
JITTER_TOLERANCE_S: Final = 0.002
"""A frame is not waited for that would be decoded too early by no more than this."""
JITTER_SHALLOW_S: Final = 0.004
"""Sound is made longer if frames are decoded so much too early: then the slack is nearly used up."""
JITTER_READY_SAMPLES: Final = 96
"""2 ms shall be ready when a frame is decoded, so that it is at the same pull each time. A little more, or none, is
left as it is."""
JITTER_NEAR_SAMPLES: Final = 24
"""Outside a pause all is taken out but 0.5 ms: there is no second chance soon."""
JITTER_LOUD_SAMPLES: Final = TICK_SAMPLES - JITTER_READY_SAMPLES
"""Where less than 10 ms are ready too early they are taken out in pauses alone."""
JITTER_SHRINK_TICKS: Final = 10
"""100 ms too deep in a pause before a period is taken out, and between two."""
JITTER_SHRINK_FAST_TICKS: Final = 4
"""When it is more than JITTER_FAR_TOO_DEEP_S too deep, or not deep enough."""
JITTER_SHRINK_LOUD: Final = 5
"""So many times longer in the hope of a pause: PESQ-WB, which hears every change, hears one in a word most. And where
one period is all that is too much."""
JITTER_SHRINK_FINE_TICKS: Final = 100
"""Where it is less than 10 ms: a second, so that no rare pull decides."""
JITTER_RETRY_TICKS: Final = 3
"""Where no period was found: a sound later."""
JITTER_FAR_TOO_DEEP_S: Final = 0.04
JITTER_LIKENESS: Final = 0.95
"""Two periods so alike are joined without being heard ..."""
JITTER_INSIST_TICKS: Final = 200
"""... but after so long in vain (noise, music) any are."""
JITTER_SKIP_S: Final = 0.2
"""So much deeper than wanted (speaker stood still): skip, periods take seconds."""
JITTER_SPARE_S: Final = 0.005
"""What is missing is not filled where the delay is so much longer than it needs to be even without it."""
JITTER_WAIT_TICKS: Final = 4
"""What one gap may add where later frames are there already."""
JITTER_CONCEAL_RUN: Final = 10
"""Ticks: 100 ms; longer concealment turns into a drone, so it fades then ..."""
JITTER_FADE_TICKS: Final = 6
"""... and is gone after so many more."""
JITTER_NOISE_TICKS: Final = 300
"""The room's noise goes on for so long after the sound; then the other side is gone, and that may be heard."""
JITTER_STALE_TICKS: Final = 6
"""Sound does not begin with a frame that is older than this: what followed it is missing."""
JITTER_PLAUSIBLE_S: Final = 1.0
"""A tick that is later than this by its time is not believed, nor one ..."""
JITTER_PLAUSIBLE_EARLY_S: Final = 0.3
"""... so much earlier than the fastest before (a route may get faster) ..."""
JITTER_RESYNC_RUN: Final = 5
"""... until so many in a row agree with each other ..."""
JITTER_RESYNC_SPREAD_S: Final = 0.2
"""... to this."""
JITTER_MISSED_KEPT: Final = 128
"""Ticks played without sound, so that a copy that comes late is told from a double."""

QUIET_BELOW: Final = 0.1
"""A frame of a tenth (-20 dB) of the loudest of late is a pause ..."""
QUIET_RMS: Final = 100
"""... and so is one below this of 32,768 (-50 dB), however quiet all has been."""
QUIET_FORGET: Final = 0.99825
"""Each tick: the loudest counts half after 4 s, so that low speech is heard again."""
QUIET_TICKS: Final = 4
"""In a row: 40 ms; in the stop of a consonant, which may be as long, a change is hardly heard."""
QUIET_LEVEL_GAIN: Final = 0.05
"""Of each tick of a pause in the level of the room: a memory of 200 ms."""
NOISE_RMS: Final = 300
"""Comfort noise is never louder (-41 dB), whatever the pauses were."""
NOISE_SAMPLES: Final = 8_191
"""Of noise kept, 170 ms."""
NOISE_MULTIPLIER: Final = 1_103_515_245
NOISE_INCREMENT: Final = 12_345
NOISE_MODULUS: Final = 1 << 31
"""The linear congruential generator of ISO C's example."""
FADE_IN_SAMPLES: Final = 240
"""5 ms: sound that comes back begins without a click."""

STRETCH_LEAST_SAMPLES: Final = 120
"""2.5 ms: the period of the highest voice (400 Hz) ..."""
STRETCH_MOST_SAMPLES: Final = 720
"""... and 15 ms: that of the lowest (66 Hz)."""
STRETCH_STEP: Final = 6
"""Periods are looked for at 8 kHz, then found to the sample."""
STRETCH_AS_ALIKE: Final = 0.03
"""One period is better than two, which are hardly ever less alike by more than this."""
STRETCH_WINDOW: Final = 80
"""Of 8 kHz, 10 ms: so much is compared, if there is so much ..."""
STRETCH_LEAST_WINDOW: Final = 40
"""... and never less than 5 ms."""

# --- reassembly of pictures ---------------------------------------------------------------------------------
VIDEO_MAX_PARTIAL: Final = 16
"""Incomplete pictures: one second at 15/s, for a long path with loss."""
VIDEO_MAX_HELD: Final = 32
"""With the complete ones that wait for them: one second at 30/s."""
VIDEO_MAX_HELD_BYTES: Final = 512 * 1024
VIDEO_MAX_GAP: Final = 6
"""So many pictures missing altogether are not asked for again: a key frame costs less."""
VIDEO_MAX_JUMP: Final = 1 << 20
"""Frame ids further ahead than 4.8 h at 60/s are no pictures of this call."""
VIDEO_REORDER_S: Final = 0.02
"""What the network may swap before a fragment counts as missing."""
VIDEO_REORDER_MAX_S: Final = 0.1
"""... and at most when the fragments come slowly."""
VIDEO_GAP_FACTOR: Final = 1.5
"""Of the widest gap seen between two fragments of the picture."""
VIDEO_NACK_INTERVAL_S: Final = 0.04
"""At least; and at least ..."""
VIDEO_NACK_ROUND_TRIPS: Final = 1.25
"""... this, so that the answer has come."""
VIDEO_MAX_NACKS: Final = 4
"""A picture; 10 % loss leaves 1e-5 after four."""
VIDEO_GIVE_UP_S: Final = 0.3
"""Later the picture is old: ask for a key frame ..."""
VIDEO_GIVE_UP_ROUND_TRIPS: Final = 4
"""... though three answers are waited for ..."""
VIDEO_GIVE_UP_MAX_S: Final = 1.0
"""... but no longer than this."""
VIDEO_KEY_INTERVAL_S: Final = 0.25
"""Between two requests, or two round trips, whichever is longer."""
VIDEO_DEFAULT_RTT_S: Final = 0.1
"""Until it is measured."""
STORE_S: Final = 1.0
"""The sender keeps sent fragments so long: longer than any receiver waits."""
STORE_FRAGMENTS: Final = 512
STORE_RESENDS: Final = 4
"""Of one fragment: a hostile nack gets no more than four times what was sent anyway."""

# --- picture sizes and bit rates ----------------------------------------------------------------------------
VIDEO_MAX_WIDTH: Final = 640
"""No terminal has more cells, and a core has other things to do."""
VIDEO_MAX_HEIGHT: Final = 480
VIDEO_FPS: Final = 15
"""Half of what cameras give; enough for faces, and the encoder costs half."""
MAX_FPS: Final = 240
"""What the fastest screens show."""
VIDEO_MIN_SIDE: Final = 16
"""One macroblock."""
VIDEO_RATE_REFERENCE: Final = 160 * 120 * 15
"""Pixels a second ..."""
VIDEO_RATE_REFERENCE_BPS: Final = 120_000
"""... that need this; 320x240 at 15 gets 364 kb/s, 640x480 1103."""
VIDEO_RATE_POWER: Final = 0.8
"""Big pictures need fewer bits a pixel."""
VIDEO_MIN_BPS: Final = 60_000
VIDEO_MAX_BPS: Final = 1_200_000

# --- figures ------------------------------------------------------------------------------------------------
STATS_MAX_DROPOUT: Final = 6_000
"""Ticks: a minute; further off is believed when its successor comes (RFC 3550 A.1)."""
STATS_QUEUE_INTERVALS: Final = 20
"""The fastest packet of so many intervals has stood in no queue; 300 ppm of two clocks are 6 ms in them."""
STATS_QUEUE_PACKETS: Final = 8
"""The fastest of the last so many has stood in no more than the queue of now."""
JITTER_GAIN: Final = 1 / 16
"""RFC 3550 6.4.1."""
