"""The numbers of what a microphone and a loudspeaker in one room show: levels, echo, double talk, the near voice.

Rule: as in `constants`. None of them is on the wire: another implementation may have others.
"""

from typing import Final

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
40 ms is still heard after it was shown. Less where it does not hold as much."""
FAR_SPARE_TICKS: Final = 100
"""A second: what was never needed in it need not be held back."""
FAR_SLIP_TICKS: Final = 2
"""Two clocks may part by so much before a tick of the far end is left out or put in."""
FAR_MAX_TICKS: Final = 300
"""What a speaker may hold: three seconds, as virtual ones do."""
ECHO_WINDOW_TICKS: Final = 150
"""What the microphone hears is compared with what was played over 1.5 s: found again within two."""
ECHO_LOOK_TICKS: Final = 25
"""Four times a second."""
ECHO_LAGS_A_TICK: Final = 3
"""Delays that are tried in one tick: a look takes nine of them, and none much longer than others."""
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
ECHO_LEARN_TICKS: Final = 500
"""After so much of the far end without an echo the canceller rests until one is suspected: it is a quarter of a call's
processor."""
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

# --- a copy of the speaker in the place of the microphone --------------------------------------------------------
COPY_WINDOW_TICKS: Final = 4
"""So much of the microphone is looked for in what was played ..."""
COPY_SEARCH_TICKS: Final = 3
"""... so far to both sides of where the echo is: its lag is known to a tick or two ..."""
COPY_SAMPLE_STEP: Final = 12
"""... first by sums of so many samples, which are 4 kHz of 48 ..."""
COPY_PLACES_A_TICK: Final = 20
"""... at so many places in a tick: 0.2 ms ..."""
COPY_COARSELY_ALIKE: Final = 0.5
"""... which may be half a step beside it ..."""
COPY_FINE_PLACES_A_TICK: Final = 3
"""... and then by all of them."""
COPY_REST_TICKS: Final = 100
"""A second to the next search, where nothing was found: a loudspeaker in a room is no copy all the time."""
COPY_LOUD: Final = 30
"""Root mean square of 16-bit samples, -60 dB: what is softer is not looked for."""
COPY_LEAST: Final = 3
"""The same, -81 dB: what is softer is silence, and follows nothing."""
COPY_ALIKE: Final = 0.9
"""Correlation at a place that is one. Rooms are below it nearly always."""
COPY_FOLLOW_STEP: Final = 6
"""A tick is held against what was played by sums of so many samples: a copy that has been resampled is between two."""
COPY_FOLLOWS: Final = 0.95
"""Correlation of a tick that follows."""
COPY_FIT_BEGINS: Final = 0.6
COPY_FIT_GAIN: Final = 0.008
"""Of a tick that follows ..."""
COPY_FIT_LOSS: Final = 0.04
"""... and of one that does not: in a room those are a quarter, the soft parts and what dies away."""
COPY_FIT_FOUND: Final = 0.85
"""It is a copy, 1.2 seconds of sound after its place was found."""
COPY_FIT_LOST: Final = 0.5
"""It is none, or not at that place: after some 15 ticks that do not follow."""
