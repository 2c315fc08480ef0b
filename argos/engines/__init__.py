"""How a network is run: densely, or only on the active blocks of its input."""
