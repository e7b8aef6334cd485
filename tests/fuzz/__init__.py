"""Inputs nobody thought of, by the million: what has to take anything is given it."""
