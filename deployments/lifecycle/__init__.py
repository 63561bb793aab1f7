"""From a challenger to a champion, and back: the Steward's candidacies."""
