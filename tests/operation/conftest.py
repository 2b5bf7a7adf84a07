"""The kits are importable, however the suite is started."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))
