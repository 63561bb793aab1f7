"""The `raysonde` command, one module a command."""
