"""Floor 2: the catalogue. Each pattern stands alone: it imports `app.kit` and third parties, never another pattern."""
