"""`python -m segood.cli` is `segood`."""

import sys

from segood.cli import main

if __name__ == "__main__":  # processes that are started from here import it, too
    sys.exit(main())
