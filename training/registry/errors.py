"""Errors of a registry as a whole."""

from __future__ import annotations

from training.runtime.settings import has_raw_at, without_password


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
        reason = reason.replace(registry_uri, shown)
        if has_raw_at(registry_uri):  # the error may name a host, which is the rest of the password
            reason = f"{type(error).__name__}; a raw @ in a password is to be encoded as %40"
        return cls(f"the registry {shown} cannot be read ({reason}): check RAYSONDE_REGISTRY_URI{more}")
