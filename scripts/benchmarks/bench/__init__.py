"""`make bench`: raysonde and other ways to serve a model, one after another on this machine, in one table.

Not part of the system that is served. The other servers live in an environment of their own, `.venv-bench`.
"""
