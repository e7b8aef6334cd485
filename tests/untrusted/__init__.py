"""Every payload through every entry of the real program: what it prints and paints is read as a terminal would read it."""
