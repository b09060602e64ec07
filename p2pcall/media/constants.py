"""Every number of the media layer: what is on the wire, in a timer, or bounds a queue.

Rule: nowhere else in `media` is there a number that has a meaning on the network or in time. Each has its
unit in the name (seconds: `_S`) and its reason beside it. Leaves out what the codecs decide for themselves.
"""

from p2pcall.proto.constants import MAX_PAYLOAD_BYTES as MAX_PAYLOAD_BYTES
from p2pcall.proto.constants import MAX_U8 as MAX_U8
from p2pcall.proto.constants import MAX_U32 as MAX_U32

# --- sound: the form that every part agrees on --------------------------------------------------------------
SAMPLE_RATE_HZ = 48_000
FRAME_MS = 20  # one Opus frame; shorter costs header bytes, longer costs delay
FRAME_S = FRAME_MS / 1000
FRAME_SAMPLES = SAMPLE_RATE_HZ * FRAME_MS // 1000
FRAME_BYTES = 2 * FRAME_SAMPLES  # signed 16-bit little-endian mono
PCM_MAX = 32_767  # full scale
CAPTURE_GAP_S = 0.03  # capture stood still for a frame and a half: more than a card's clock is ever uneven

# --- the wire -----------------------------------------------------------------------------------------------
MAX_U16 = 0xFFFF
# MAX_U32: no wrap in a call: seq at 50/s lasts 2.7 years, capture_ms 49 days
AUDIO_HEADER_BYTES = 9  # seq u32, capture_ms u32, count u8
AUDIO_COPY_HEADER_BYTES = 3  # distance u8, length u16
MAX_AUDIO_COPIES = 4  # the newest frame and at most three earlier ones
VOICE_FRAME_BYTES = 100  # one Opus frame at constant 40 kb/s: every packet of a redundancy level is as long
VIDEO_PAYLOAD_BYTES = (381, 765, 1_165)  # a fragment is padded to one; 384, 768, 1168 with the frame header
MAX_COPY_DISTANCE = 16  # an older copy (320 ms) comes after its time at any depth
VIDEO_HEADER_BYTES = 13  # frame_id u32, capture_ms u32, index u16, count u16, flags u8
VIDEO_FRAGMENT_BYTES = 1_100  # with its header below MAX_PAYLOAD_BYTES
MAX_FRAGMENTS = 512  # a coded picture of 512 KiB; ours are 1-30
MAX_VIDEO_FRAME_BYTES = 512 * 1024
FLAG_KEY = 0x01
FEEDBACK_NACK = 1
FEEDBACK_KEY = 2
FEEDBACK_REPORT = 3
FEEDBACK_PLAYED = 4
FEEDBACK_ASK = 5
PLAYED_STANDS = 0xFFFF  # in place of what a speaker has in hand: it does not run
MAX_NACK_INDEXES = 51  # with its headers it fits the slack of 112 bytes in a record of voice
REPORT_JITTER_PER_MS = 10  # a report tells jitter in tenths of a millisecond
REPORT_LOSS_ONE = 0xFFFF  # and loss in parts of this
REPORT_INTERVAL_S = 1.0  # 50 packets: loss to 2 %; an answer to a change within two seconds

# --- redundancy: distances of the earlier frames carried along, by measured loss ----------------------------
REDUNDANCY_LEVELS = ((1,), (1, 2), (1, 2, 4))  # residual p^2, p^3, p^4; the last also mends bursts of four
REDUNDANCY_RAISE_AT = (0.02, 0.12)  # loss from which level 1, 2 is used: p^2 is heard from 2 % on
REDUNDANCY_LOWER_AT = (0.01, 0.06)  # half of it, so that a steady loss does not flap
REDUNDANCY_LOWER_AFTER = 5  # good reports in a row (5 s) before one level is taken back

# --- jitter buffer ------------------------------------------------------------------------------------------
JITTER_SLACK_S = 0.005  # the speaker's own unevenness: callbacks measured p99 1.3 ms, max 3.2 ms
JITTER_MAX_DEPTH = 12  # frames; 240 ms more is no conversation
JITTER_MAX_FRAMES = 50  # one second of sound held at most; the oldest go
JITTER_BUCKET_S = 0.005  # resolution of the lateness histogram
JITTER_FORGET = 0.997  # each frame weighs 0.3 %: a memory of some 7 s; one late frame alone moves nothing
JITTER_QUANTILE = 0.995  # this part of the frames shall be in time
JITTER_BASE_WINDOW_S = 5.0  # the fastest of the last 5-10 s is "in time"; 200 ppm are 2 ms in it
JITTER_START_S = 0.01  # before anything is known: half a frame of jitter
JITTER_SHRINK_HYSTERESIS_S = 0.005  # beyond the one frame that a merge takes
JITTER_SHRINK_TICKS = 15  # 300 ms too deep before a merge in a pause
JITTER_SHRINK_FAST_TICKS = 5  # when it is more than JITTER_FAR_TOO_DEEP_S too deep
JITTER_SHRINK_LOUD = 5  # so many times longer in the hope of a pause: within a word a merge is well heard
JITTER_FAR_TOO_DEEP_S = 0.06
JITTER_SKIP_S = 0.2  # so much deeper than wanted (speaker stood still): skip, merging takes seconds
JITTER_WAIT_TICKS = 2  # frames that one gap may add where later frames are there already
JITTER_CONCEAL_RUN = 5  # 100 ms: longer concealment turns into a drone, so silence then
JITTER_PLAUSIBLE_S = 1.0  # a seq that is later than this by its time is not believed, nor one ...
JITTER_PLAUSIBLE_EARLY_S = 0.3  # ... so much earlier than the fastest before (a route may get faster) ...
JITTER_RESYNC_RUN = 5  # ... until so many in a row agree with each other ...
JITTER_RESYNC_SPREAD_S = 0.2  # ... to this
JITTER_MISSED_KEPT = 64  # seqs played without sound, so that a copy that comes late is told from a double

QUIET_BELOW = 0.1  # a frame of a tenth (-20 dB) of the loudest of late is a pause ...
QUIET_RMS = 100  # ... and so is one below this of 32,768 (-50 dB), however quiet all has been
QUIET_FORGET = 0.9965  # each frame: the loudest counts half after 4 s, so that low speech is heard again
QUIET_FRAMES = 2  # in a row: 40 ms; in the stop of a consonant, which may be as long, a merge is hardly heard

MERGE_FADE_SAMPLES = 240  # 5 ms: one period of a low voice
MERGE_SEARCH_STEP = 4  # looks at every fourth sample: 12 kHz shows well enough where two frames agree

# --- reassembly of pictures ---------------------------------------------------------------------------------
VIDEO_MAX_PARTIAL = 16  # incomplete pictures: one second at 15/s, for a long path with loss
VIDEO_MAX_HELD = 32  # with the complete ones that wait for them: one second at 30/s
VIDEO_MAX_HELD_BYTES = 512 * 1024
VIDEO_MAX_GAP = 6  # so many pictures missing altogether are not asked for again: a key frame costs less
VIDEO_MAX_JUMP = 1 << 20  # frame ids further ahead than 4.8 h at 60/s are no pictures of this call
VIDEO_REORDER_S = 0.02  # what the network may swap before a fragment counts as missing
VIDEO_REORDER_MAX_S = 0.1  # ... and at most when the fragments come slowly
VIDEO_GAP_FACTOR = 1.5  # of the widest gap seen between two fragments of the picture
VIDEO_NACK_INTERVAL_S = 0.04  # at least; and at least ...
VIDEO_NACK_ROUND_TRIPS = 1.25  # ... this, so that the answer has come
VIDEO_MAX_NACKS = 4  # a picture; 10 % loss leaves 1e-5 after four
VIDEO_GIVE_UP_S = 0.3  # later the picture is old: ask for a key frame ...
VIDEO_GIVE_UP_ROUND_TRIPS = 4  # ... though three answers are waited for ...
VIDEO_GIVE_UP_MAX_S = 1.0  # ... but no longer than this
VIDEO_KEY_INTERVAL_S = 0.25  # between two requests, or two round trips, whichever is longer
VIDEO_DEFAULT_RTT_S = 0.1  # until it is measured
STORE_S = 1.0  # the sender keeps sent fragments so long: longer than any receiver waits
STORE_FRAGMENTS = 512
STORE_RESENDS = 4  # of one fragment: a hostile nack gets no more than four times what was sent anyway

# --- picture sizes and bit rates ----------------------------------------------------------------------------
VIDEO_MAX_WIDTH = 640  # no terminal has more cells, and a core has other things to do
VIDEO_MAX_HEIGHT = 480
VIDEO_FPS = 15  # half of what cameras give; enough for faces, and the encoder costs half
MAX_FPS = 240  # what the fastest screens show
VIDEO_MIN_SIDE = 16  # one macroblock
VIDEO_RATE_REFERENCE = 160 * 120 * 15  # pixels a second ...
VIDEO_RATE_REFERENCE_BPS = 120_000  # ... that need this; 320x240 at 15 gets 364 kb/s, 640x480 1103
VIDEO_RATE_POWER = 0.8  # big pictures need fewer bits a pixel
VIDEO_MIN_BPS = 60_000
VIDEO_MAX_BPS = 1_200_000

# --- figures ------------------------------------------------------------------------------------------------
STATS_MAX_DROPOUT = 3_000  # a minute; further off is believed when its successor comes (RFC 3550 A.1)
JITTER_GAIN = 1 / 16  # RFC 3550 6.4.1
