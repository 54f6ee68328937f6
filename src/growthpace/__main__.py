"""Where `growthpace` starts: a warm process takes the job if there is one, before anything else is imported."""

import sys

from growthpace.warm import call


def main() -> None:
    """Runs the command line, here or in the warm process (see `warm`)."""
    code = call(sys.argv[1:])
    if code is not None:
        sys.exit(code)
    from growthpace.cli import main as run

    run()


if __name__ == "__main__":
    main()
