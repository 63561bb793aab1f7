"""Values and pure rules of serving: routing, predictions, promotion, retraining."""
