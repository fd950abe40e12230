"""`python -m genjax`, and the console script `genjax`."""

import sys

from genjax import cli, collector


def main() -> int:
    """Run the command of this process; its exit code."""
    collector.spare_imports()
    return cli.main()


if __name__ == "__main__":
    sys.exit(main())
