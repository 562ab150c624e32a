"""Change between dates: distances of tokens, and what they are where nothing has changed."""
