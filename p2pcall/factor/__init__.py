"""The second factor and the safe word, sans-IO: what is right, what is wrong, and what goes over the line."""
