"""Parts that families share when they fit: data, losses, loops of training."""
