"""The one exception for bad input.

Anything that a user can put right (a study file, a data file, a folder) raises `InputError` with a message that names
what is wrong, where, and what is allowed. The command line and the Snakefile print that message alone, without a
traceback; every other exception is a defect of growthpace and keeps its traceback.
"""


class InputError(ValueError):
    """Bad input, described for the person who has to put it right."""
