"""`p2pcall demo`: a call to this machine with everything a real call needs, and a verdict on what arrived."""
