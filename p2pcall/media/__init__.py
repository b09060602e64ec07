"""Media logic: packets, redundancy, jitter, reassembly, sizes; pure functions of state, input and time."""
