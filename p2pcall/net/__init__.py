"""The network as the operating system shows it: addresses, UDP sockets, names on the local link."""
