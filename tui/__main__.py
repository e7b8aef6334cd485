"""The `palaver` command, and `python -m tui`."""

import sys


def main() -> None:
    from tui import process
    from tui.cli import main as run

    process.begin()
    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
