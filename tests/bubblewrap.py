"""What tests that run programs in a sandbox need."""

import os
import shutil

import pytest


def need_bubblewrap() -> None:
    """Without bubblewrap a test skips on a laptop and fails under CI, where it must run."""
    if shutil.which("bwrap") is None:
        reason = "no bubblewrap here (Debian's package: bubblewrap)"
        if os.environ.get("CI"):
            pytest.fail(f"CI is set, so this test must run: {reason}", pytrace=False)
        pytest.skip(reason)
