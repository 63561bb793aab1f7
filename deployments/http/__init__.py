"""The HTTP API as ASGI applications: routes, bodies, problem documents."""
