"""`python -m sardino_core`: the same as the command `sardino`."""

import sys

from sardino_core.cli import main

sys.exit(main())
