"""Here so that tests in any folder can import `tiny` and `small_study`: pytest puts the folder of a conftest.py on the
import path."""
