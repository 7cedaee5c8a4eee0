"""`python -m include.policy check|preview [FILE]`."""

import sys

from include.policy import main

raise SystemExit(main(sys.argv[1:]))
