"""Floor 2: the catalogue. Each pattern imports kit and third parties only, never another pattern."""
