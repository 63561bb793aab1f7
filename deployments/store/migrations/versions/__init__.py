"""The revisions of the store, one file each."""
