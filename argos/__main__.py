"""``python -m argos``."""

from __future__ import annotations

import sys

from argos.cli import main

if __name__ == "__main__":
    sys.exit(main())
