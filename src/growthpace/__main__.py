"""Where `growthpace` starts: signals first, then a warm process takes the job if there is one, then the imports."""

import sys

from growthpace.interruptible import prepare


def main() -> None:
    """Runs the command line, here or in the warm process (see `warm`)."""
    prepare(sys.argv[1:])
    from growthpace.warm import call

    code = call(sys.argv[1:])
    if code is not None:
        sys.exit(code)
    from growthpace.cli import main as run

    run()


if __name__ == "__main__":
    main()
