"""`p2pcall demo`: a call to oneself through all that a real call needs, and a verdict on what arrived."""
