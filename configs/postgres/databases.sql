-- Beside the store's own database, which the image makes: the one of the registry.
CREATE DATABASE mlflow;
