"""Errors of a bundle that is refused.

BundleError
 |- ForeignBundle       no bundle at all, one of another workload, or of other features than the code has
 |- UnsupportedFormat   a format version that this code has no reader for
 |- TamperedBundle      a file changed, is missing or was added since the bundle was written
 |- MalformedBundle     as it was written, but what it holds does not fit together
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


class GoldenMismatch(BundleError):
    """Outputs that differ, on this machine or with this code, from those that the bundle was stored with."""
