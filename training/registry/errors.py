"""Errors of a registry as a whole."""

from __future__ import annotations

from training.runtime.settings import without_password


class RegistryUnreadable(RuntimeError):
    """There is a registry, but it does not answer as one; the message says what to do."""

    @classmethod
    def because_of(cls, error: Exception, registry_uri: str, more: str = "") -> RegistryUnreadable:
        """Return one whose message has the first line of `error`.

        Args:
            error: what reading it raised.
            registry_uri: RAYSONDE_REGISTRY_URI; a password in it is not shown.
            more: another way out than to correct the address.
        """
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        shown = without_password(registry_uri)
        return cls(f"the registry {shown} cannot be read ({reason}): check RAYSONDE_REGISTRY_URI{more}")
