"""The lifecycle of versions: retraining, promotion and roll-back, observed, decided and acted on."""
