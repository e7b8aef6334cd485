"""guide: the small server inside Palaver that answers from the manual, for first steps without a key or a network."""
