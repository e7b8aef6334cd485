"""Measurements of the installed program, by `python -m tests.bench`; nothing here is run by the tests."""
