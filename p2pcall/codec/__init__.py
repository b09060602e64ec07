"""Sound and picture to bytes and back: Opus and VP8 through PyAV.

Rules: bytes in, bytes out; nothing here knows of networks, devices or time. What comes from the network never
raises. Leaves out echo cancellation and any choice of bit rate by network state.
"""
