"""Alembic's migrations of the store: `versions/` has one file a revision, `REVISIONS` names them in order.

A change of the tables is made in their definitions, and in a new file here that brings a store of the last
revision to them. What a file says about tables is said once and for all: it imports none of their
definitions, which go on changing. There is no way down: whoever may want to go back keeps a copy.
"""
