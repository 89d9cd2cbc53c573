"""`python -m potstill` is the command line."""

import sys

from potstill.cli import main

if __name__ == "__main__":
    sys.exit(main())
