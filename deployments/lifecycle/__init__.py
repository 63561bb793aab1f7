"""From a challenger to a champion, and back: the lifecycle controller's promotions."""
