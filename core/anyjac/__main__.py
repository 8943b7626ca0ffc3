"""``python -m anyjac`` is ``anyjac``."""

import sys

from .cli import main

sys.exit(main())
