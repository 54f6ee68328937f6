"""What runs inside the sandboxes of `evaluation.sandbox`, with nothing but the standard library.

`program.py` runs a model's program in one sandbox, `trial.py` runs the tests in another; `wire.py` is how they talk.
These files are run by their path, never imported by growthpace.
"""
