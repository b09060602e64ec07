"""What a peer does while it connects, while its line is open, and while it lingers after the goodbye.

Each phase posts datagrams and events through the endpoint's state, and makes the next phase. The table in `phase`
says which phase may follow which.
"""
