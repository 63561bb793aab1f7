"""Traces by OpenTelemetry; imported only where they are wanted (`deployments.telemetry.tracing.api`)."""
