"""The same work done by other programs of the kind, in turn with ours: `python -m tests.bench.peers`."""
