"""What of a picture nobody may see: covered before the picture becomes part of a result, fail-closed."""
