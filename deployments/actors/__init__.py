"""The part that Ray sees: deployments, actors and the policies that Serve calls."""
