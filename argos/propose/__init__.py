"""Where people may be: frame -> region mask -> boxes."""
