"""Errors of a bundle that is refused.

BundleError
 |- ForeignBundle       no bundle at all, one of another workload, or of other features than the code has
 |- UnsupportedFormat   a format version that this code has no reader for
 |- TamperedBundle      a file changed, is missing or was added since the bundle was written
 |- MalformedBundle     as it was written, but what it holds does not fit together
 |- BoundExceeded       more files, bytes, members, time or memory than a bundle may have or take
 |- ForbiddenOperator   a graph that uses what no family exports
 `- GoldenMismatch      it does not give the outputs that it was stored with
"""

from __future__ import annotations


class BundleError(Exception):
    """Base of every reason to refuse a bundle."""


class ForeignBundle(BundleError):
    """A directory that is no bundle, or one of another workload."""


class UnsupportedFormat(BundleError):
    """A bundle of a format version that this code cannot read."""


class TamperedBundle(BundleError):
    """The files are not those that were written."""


class MalformedBundle(BundleError):
    """The parts cannot be parsed or do not fit together."""


class BoundExceeded(BundleError):
    """A bundle that has or takes more than any bundle may."""


class ForbiddenOperator(BundleError):
    """A graph with an operator whose cost does not follow from its shapes, or that no family exports."""


class GoldenMismatch(BundleError):
    """Outputs that differ, on this machine or with this code, from those that the bundle was stored with."""
