"""What is made rather than captured: the test card, and the person who sings. They need no hardware and no file."""
