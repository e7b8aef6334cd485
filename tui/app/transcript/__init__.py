"""The transcript: a session's turns, drawn line by line, only as much as is seen."""
