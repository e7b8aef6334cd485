"""Servers that others have written, and Palaver talking to them."""
