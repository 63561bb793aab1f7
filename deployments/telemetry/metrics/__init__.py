"""What `GET /metrics` of the root application answers: one declaration, from which the rest follows."""
