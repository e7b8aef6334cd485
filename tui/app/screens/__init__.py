"""The screens: the chat itself, and what is laid over it."""
