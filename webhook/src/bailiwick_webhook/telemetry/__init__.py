"""OpenTelemetry: spans of decisions, for who has a collector. Nothing of it is loaded without `--otlp-endpoint`."""
