"""Every number of the media layer: what is on the wire, in a timer, or bounds a queue.

Rule: nowhere else in `media` is there a number that has a meaning on the network or in time. Each has its
unit in the name (seconds: `_S`) and its reason beside it. Leaves out what the codecs decide for themselves.
"""

from typing import Final

from p2pcall.proto.constants import MAX_PAYLOAD_BYTES as MAX_PAYLOAD_BYTES
from p2pcall.proto.constants import MAX_U8 as MAX_U8
from p2pcall.proto.constants import MAX_U32 as MAX_U32

# --- sound: the form that every part agrees on --------------------------------------------------------------
SAMPLE_RATE_HZ: Final = 48_000
SAMPLE_BYTES: Final = 2
"""Signed 16-bit little-endian mono."""
FRAME_MS: Final = 20
"""One Opus frame; shorter costs header bytes, longer costs delay."""
FRAME_S: Final = FRAME_MS / 1000
FRAME_SAMPLES: Final = SAMPLE_RATE_HZ * FRAME_MS // 1000
FRAME_BYTES: Final = SAMPLE_BYTES * FRAME_SAMPLES
PCM_MAX: Final = 32_767
"""Full scale."""
TICK_MS: Final = 10
"""What frames of sound are numbered in: the shortest frame that is sent."""
TICK_S: Final = TICK_MS / 1000
TICK_SAMPLES: Final = SAMPLE_RATE_HZ * TICK_MS // 1000
TICK_BYTES: Final = SAMPLE_BYTES * TICK_SAMPLES
CAPTURE_GAP_S: Final = 0.03
"""Capture stood still for a frame and a half: more than a card's clock is ever uneven."""

# --- the wire -----------------------------------------------------------------------------------------------
MAX_U16: Final = 0xFFFF
AUDIO_HEADER_BYTES: Final = 9
"""seq u32, capture_ms u32, count u8. No wrap in a call: seq at 50/s lasts 2.7 years, capture_ms 49 days."""
AUDIO_COPY_HEADER_BYTES: Final = 3
"""Distance u8, length u16."""
MAX_AUDIO_COPIES: Final = 4
"""The newest frame and at most three earlier ones."""
VOICE_FRAME_BYTES: Final = 100
"""One Opus frame at constant 40 kb/s: every packet of a redundancy level is as long."""
VIDEO_PAYLOAD_BYTES: Final = (381, 765, 1_165)
"""A fragment is padded to one; 384, 768, 1168 with the frame header."""
MAX_COPY_DISTANCE: Final = 16
"""An older copy (320 ms) comes after its time at any depth."""
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

# --- levels: how loud microphone and speaker are, and what is told of the microphone ------------------------
LEVEL_EVERY_S: Final = 0.2
"""Between two looks at a piece of sound: as often as an eye follows a meter."""
LEVEL_STEP: Final = 4
"""Every so manieth sample tells how loud a piece is."""
DB_A_TENFOLD: Final = 10.0
"""Ten times the power."""
LOWEST_DBFS: Final = -96.0
"""What 16 bits can tell; silence is no quieter."""
METER_FROM_DBFS: Final = -60.0
"""A meter shows nothing of what is below: the noise of a room."""
METER_STEPS: Final = 7
"""Above the lowest: there are eight block elements."""
SILENT_DBFS: Final = -80.0
"""No open microphone is as quiet: its own noise is louder."""
SILENT_LOOKS: Final = 50
"""Ten seconds of it from the start on: somebody would have breathed."""
QUIET_DBFS: Final = -45.0
"""Who speaks into a microphone that is set well is louder, in the loudest tenth of the time."""
LOUDEST_PART: Final = 10
CLIPPED_PIECES: Final = 3
"""So many pieces of a recording that clip are heard."""
CLIP_LEVEL: Final = 32_700
"""A sample from here on has met the end of the scale."""
CLIP_SAMPLES: Final = 3
"""So many of one piece: a flat top, and not the tip of a loud wave."""
CLIP_LOOKS: Final = 5
CLIP_OF_LOOKS: Final = 25
"""A second of the last five: one knock on the table is none of it."""
TALK_DBFS: Final = -45.0
"""Somebody at the microphone is louder; the next room is not."""
TALK_ABOVE_DB: Final = 12.0
"""And by so much louder than the quietest of the last ten seconds: a fan is loud and even."""
TALK_FLOOR_LOOKS: Final = 50
TALK_LOOKS: Final = 8
TALK_OF_LOOKS: Final = 15
"""Half of three seconds: speech has pauses, a cough is short."""

# --- redundancy: distances of the earlier frames carried along, by measured loss ----------------------------
REDUNDANCY_LEVELS: Final = ((1,), (1, 2), (1, 2, 4))
"""Residual p^2, p^3, p^4; the last also mends bursts of four."""
REDUNDANCY_RAISE_AT: Final = (0.02, 0.12)
"""Loss from which level 1, 2 is used: p^2 is heard from 2 % on."""
REDUNDANCY_LOWER_AT: Final = (0.01, 0.06)
"""Half of it, so that a steady loss does not flap."""
REDUNDANCY_LOWER_AFTER: Final = 5
"""Good reports in a row (5 s) before one level is taken back."""

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
JITTER_RECOVERY_CHEAP_S: Final = 0.03
"""... if it takes no longer than this: with frames of 10 ms. (PESQ-WB at 10 % loss and frames of 20 ms: 3.5, and 3.9
with 0.05 here, for 11 ms more.)"""
JITTER_RECOVERY_RUN: Final = 4
"""So many frames came back as copies ..."""
JITTER_RECOVERY_S: Final = 6.0
"""... in so long: losses are really mended that way, and worth waiting for."""
JITTER_TOLERANCE_S: Final = 0.002
"""What a callback comes too early or too late is no reason to change the delay."""
JITTER_SHRINK_TICKS: Final = 10
"""100 ms too deep in a pause before a period is taken out, and between two."""
JITTER_SHRINK_FAST_TICKS: Final = 4
"""When it is more than JITTER_FAR_TOO_DEEP_S too deep, or not deep enough."""
JITTER_SHRINK_LOUD: Final = 5
"""So many times longer in the hope of a pause: PESQ-WB, which hears every change, hears one in a word most."""
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
STATS_MAX_DROPOUT: Final = 3_000
"""A minute; further off is believed when its successor comes (RFC 3550 A.1)."""
JITTER_GAIN: Final = 1 / 16
"""RFC 3550 6.4.1."""

# --- loudspeakers: levels in dB of full scale, one of each side in every tick ---------------------------------
LEVEL_SAMPLE_STEP: Final = 8
"""A level looks at every eighth sample: 60 of a tick tell a loudness to 1 dB."""
COLOUR_DISTANCE: Final = 6
"""Differences of samples so far apart: mostly what is around 4 kHz, where vowels have little and consonants much."""
LEVEL_BASE: Final = 10.0
LEVEL_FACTOR: Final = 20.0
"""A level in dB is so many times the logarithm of an amplitude, to this base."""
LEVEL_LEAST_DB: Final = -80.0
"""Nothing is quieter: below the noise of any microphone."""
PLAYOUT_GAIN: Final = 0.02
"""The speaker's clock is followed softly; what it says of one pull is uneven by some 10 ms ..."""
PLAYOUT_JUMP_S: Final = 0.05
"""... and a step of more than this, is a break."""
FAR_LEAD_TICKS: Final = 4
"""What is played is shown to the canceller so much before its time: a speaker that overstates its delay by less than
40 ms is still heard after it was shown."""
FAR_SLIP_TICKS: Final = 2
"""Two clocks may part by so much before a tick of the far end is left out or put in."""
FAR_MAX_TICKS: Final = 300
"""What a speaker may hold: three seconds, as virtual ones do."""
ECHO_WINDOW_TICKS: Final = 150
"""What the microphone hears is compared with what was played over 1.5 s: found again within two."""
ECHO_LOOK_TICKS: Final = 25
"""Four times a second."""
ECHO_LAG_TICKS: Final = 40
"""Echoes of up to 360 ms after their time, with the lead."""
ECHO_LEAST_LOUD: Final = 40
"""Ticks of the window with speech from the far end, or nothing can be said."""
ECHO_LEAST_SPREAD_DB: Final = 4.0
"""Speech as even as this cannot be told from another that is ..."""
ECHO_LEAST_NEAR_SPREAD_DB: Final = 2.0
"""... nor what the microphone hears; a soft echo stands out of the noise by little."""
ECHO_CORRELATION: Final = 0.65
"""From this on it may be an echo; in a tenth of such windows two people who take turns are as much alike ..."""
ECHO_LEAST_BOTH: Final = 20
"""... but not in so many ticks where both are loud ..."""
ECHO_ALIKE: Final = 1.1
"""... in what they speak: correlations of level and of colour there make this together, or 0.2 (0.9 in one of 100)."""
ECHO_BOTH_OVER_NOISE_DB: Final = 6.0
ECHO_CONFIRM: Final = 2
"""So many looks in a row."""
ECHO_FAR_BELOW_DB: Final = 20.0
"""Far-end speech is what is not quieter than its loudest of late by more than this ..."""
ECHO_FAR_LEAST_DB: Final = -55.0
"""... nor than this."""
ECHO_FAR_FORGET_DB: Final = 0.01
"""A tick: the loudest of the far end fades by 1 dB a second."""
ECHO_QUIET_DB: Final = 6.0
"""A microphone within this of its noise hears nothing ..."""
ECHO_CLEAR_PART: Final = 0.7
"""... and if it hears nothing in this part of the far end's speech ..."""
ECHO_CLEAR_TICKS: Final = 1_000
"""... ten seconds long, there is no echo: headphones."""
NOISE_WINDOW_TICKS: Final = 300
"""The noise is the quietest of the last three to six seconds."""
NOISE_MEAN: Final = 0.25
"""Of each tick in the mean whose minimum is the noise."""

# --- double talk: both sides speak, and one of them comes out of a loudspeaker --------------------------------
COUPLING_UNKNOWN_DB: Final = 0.0
"""Until it is measured an echo is taken to be as loud as what was played."""
ECHO_DECAY_DB: Final = 1.5
"""A tick: a room whose sound takes 400 ms to die away."""
ECHO_SPREAD_TICKS: Final = 2
"""The echo may come so much before and after its measured time."""
TALK_OVER_NOISE_DB: Final = 12.0
TALK_OVER_ECHO_DB: Final = -8.0
"""What is left behind a canceller belongs to an echo only if it is lower than it by this ..."""
TALK_OVER_ECHO_UNCANCELLED_DB: Final = 6.0
"""... and without one, what is louder than it by this does not."""
TALK_SETTLED_TICKS: Final = 500
"""Of the far end's sound, before a canceller leaves so little."""
TALK_CONFIRM: Final = 3
"""Ticks: a click is no speech."""
TALK_HOLD_TICKS: Final = 35
"""Gaps between words."""
TALK_FORGET_DB: Final = 0.2
"""A tick: how fast the near voice's level is forgotten."""
DUCK_CLEARANCE_DB: Final = 35.0
"""An echo so far below a voice is not heard beside it."""
DUCK_MOST_DB: Final = 30.0
DUCK_RELEASE_DB: Final = 2.0
"""A tick: back within 150 ms; down it goes at once."""
THROUGH_CLEARANCE_DB: Final = 25.0
"""A voice that is so far above the echo goes by the canceller, which would hollow it."""
THROUGH_CONFIRM: Final = 3
"""Ticks."""
GATE_DB: Final = 40.0
"""Without a canceller the microphone is so much lower while the far end speaks."""

# --- the near voice: what it needs ----------------------------------------------------------------------------
NOISY_FROM_DB: Final = -50.0
"""Noise that is heard beside a voice is suppressed: that takes 7 ms and costs a clean voice 0.2 of PESQ ..."""
NOISY_UNTIL_DB: Final = -56.0
"""... so not below this."""
NOISE_KNOWN_TICKS: Final = 100
FAINT_BELOW_DB: Final = -30.0
"""A voice whose loudest tick of late is lower is brought up: to 4 dB more than usual it costs 0.3 of PESQ ..."""
FAINT_UNTIL_DB: Final = -20.0
"""... until it is as loud as this by itself."""
VOICE_KNOWN_TICKS: Final = 200
VOICE_FORGET_DB: Final = 0.01
"""A tick: the loudest of the near voice fades by 1 dB a second."""
