"""Where `growthpace` starts: signals first, then a warm process takes the job if there is one, then the imports."""

import os
import sys

from growthpace.interruptible import prepare, run_and_exit


def main() -> None:
    """Runs the command line, here or in the warm process (see `warm`)."""
    prepare(sys.argv[1:])
    from growthpace.warm import call

    code = call(sys.argv[1:])
    if code is not None:
        sys.exit(code)
    from growthpace.cli import main as run

    if int(os.environ.get("WORLD_SIZE", 1)) > 1:  # a rank of a training
        run_and_exit(run)
    run()


if __name__ == "__main__":
    main()
