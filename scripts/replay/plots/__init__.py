"""Pictures of what a replay found."""
