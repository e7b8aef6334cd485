"""Palaver: a terminal chat client for developers who talk to model and agent servers all day."""

__version__ = "0.1.0"
