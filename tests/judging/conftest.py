"""What the tests of the endpoint and of the analysis use serves here too."""

import sys
from pathlib import Path

for name in ("endpoint", "analysis"):
    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / name))
