"""`python -m segood.cli` is `segood`."""

import sys

from segood.cli import main

sys.exit(main())
