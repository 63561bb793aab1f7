"""The metrics of `GET /metrics` of the root application: one catalogue, from which the rest follows."""
