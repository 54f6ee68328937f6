"""What the tests of the endpoint and of the judge use serves here too."""

import sys
from pathlib import Path

for name in ("endpoint", "judging"):
    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / name))
