"""`python -m genjax`, and the console script `genjax`."""

import sys

from genjax.cli import main

if __name__ == "__main__":
    sys.exit(main())
