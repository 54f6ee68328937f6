"""Here so that tests in any folder can import `tiny`: pytest puts the folder of a conftest.py on the import path."""
