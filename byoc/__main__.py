"""`python -m byoc` is the command `byoc`."""

import sys

from byoc.cli import main

if __name__ == "__main__":
    sys.exit(main())
