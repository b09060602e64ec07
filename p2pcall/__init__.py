"""p2pcall: one-to-one encrypted calls, machine to machine, from the terminal."""

__version__ = "0.1.0"
