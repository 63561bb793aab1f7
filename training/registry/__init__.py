"""Models and runs, kept by MLflow."""
