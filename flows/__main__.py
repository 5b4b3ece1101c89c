"""`python -m flows` is `uniform`."""

import sys

from flows.cli import main

sys.exit(main())
