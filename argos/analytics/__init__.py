"""Events from results: zones entered and left, lines crossed."""
