"""The secure line, sans-IO: Noise handshake, record layer, reliable control messages, the call table.

`Endpoint` is one socket's worth of peers, `Peer` one remote end, a `ProtocolEvent` what the owner is told. No
clock, randomness, socket, thread, `await` or logging here: time and entropy come in as arguments.
"""
