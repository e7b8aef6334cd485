"""Numbers among the arguments, with what is wrong with one in words."""

from __future__ import annotations

import argparse


def whole_number(text: str) -> int:
    """What is counted from 1.

    Raises:
        argparse.ArgumentTypeError: It is no such number.
    """
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError("has to be a whole number, 1 or more")
    return number


def seconds(text: str) -> float:
    """A time to wait.

    Raises:
        argparse.ArgumentTypeError: It is none.
    """
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < 1e7:
        raise argparse.ArgumentTypeError("has to be a number of seconds above 0")
    return value
