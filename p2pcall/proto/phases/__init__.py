"""What a peer does while it connects, while its line is open, and while it lingers after the goodbye.

Each phase posts datagrams and tells events through the endpoint's state, and makes the next phase. Which may follow
which is `phase`'s table.
"""
