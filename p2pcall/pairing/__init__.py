"""First contact by a short code, sans-IO: the code, the exchange that it protects, and both sides of it."""
