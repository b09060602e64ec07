"""`python -m p2pcall`."""

from p2pcall.cli import run

if __name__ == "__main__":
    run()
