"""Alembic's migrations of the store: `versions/` has one file a revision, `REVISIONS` names them in order.

A change of the tables is made in their definitions, and in a new file here that brings a store of the last
revision to them. A file is never changed later: it imports none of the definitions, which go on changing.
There is no downgrade: restore a copy in its place.
"""
