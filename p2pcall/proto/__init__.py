"""The secure line, sans-IO: Noise handshake, record layer, reliable control messages, the call table.

An `Endpoint` is all peers behind one socket, a `Peer` is one remote end, a `ProtocolEvent` informs the owner. No
clock, randomness, socket, thread, `await` or logging here: time and entropy come in as arguments.
"""
