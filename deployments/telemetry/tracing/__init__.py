"""Tracing by OpenTelemetry, imported only where it is enabled (`deployments.telemetry.tracing.api`)."""
