"""Floor 1: what every pattern may lean on. Imports the standard library and third parties only."""
