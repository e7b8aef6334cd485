"""The `palaver` command, and `python -m tui`."""

import sys


def main() -> None:
    from tui.cli import main as run

    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
