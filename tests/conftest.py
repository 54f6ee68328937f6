"""Here so that tests in any folder can import `tiny` and `small_study`: pytest puts the folder of a conftest.py on the
import path."""

from hypothesis import HealthCheck, settings

# The same examples everywhere, and no deadline: the cores are shared, so a slow example says nothing.
settings.register_profile(
    "repeatable", derandomize=True, deadline=None, max_examples=50, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("repeatable")


def pytest_collection_modifyitems(items):
    """Files that run whole workflows come first, the longest of all before the others: nobody should wait for the last
    of them alone (`make test` keeps this order). Otherwise as collected."""
    items.sort(key=lambda item: (not item.get_closest_marker("workflow"), item.path.parent.name != "workflow"))
