"""`python -m bench SUITE`."""

from bench.cli import main

if __name__ == "__main__":
    main()
