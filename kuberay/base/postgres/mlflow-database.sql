-- Runs once, when the volume is empty. The journal's own database is made by the image, from POSTGRES_DB.
CREATE DATABASE mlflow;
