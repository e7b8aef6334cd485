"""Servers that stand in for real ones which cannot be installed here: they speak the wire and keep real state."""
