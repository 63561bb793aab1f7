"""All that Ray sees: deployments, actors and the policies that Serve calls."""
