"""What tests that open a page in a browser need."""

import os
import shutil

import pytest


def need_chromium() -> str:
    """Path of a chromium. Without one a test skips on a laptop and fails under CI, where it must run."""
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        reason = "no chromium here (Debian's package: chromium)"
        if os.environ.get("CI"):
            pytest.fail(f"CI is set, so this test must run: {reason}", pytrace=False)
        pytest.skip(reason)
    return found
