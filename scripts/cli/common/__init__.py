"""Parts that several commands share: options, groups, and the columns of their tables."""
