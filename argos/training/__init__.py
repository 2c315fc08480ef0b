"""Data, augmentation, losses, metrics and the training loop."""
