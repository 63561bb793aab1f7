"""Grafana dashboards as code: `raysonde render grafana` writes their JSON into configs/grafana/dashboards."""
