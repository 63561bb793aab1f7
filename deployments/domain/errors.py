"""Errors of a request, beside those of its fields (features.errors).

RequestError
 |- MalformedJson        the body is no JSON at all
 |- TooLarge             more than one request may carry
 |- Unauthorized         no key, or a wrong one
 |- NotFound             what the request names does not exist
 |- Conflict             the state is not the one that the request expects
 `- Unavailable          try again after `retry_after_s`
     |- Overloaded       an arm is asked more than it can answer
     `- NoArmAvailable   no arm can answer

InvalidFields            several FieldErrors in one body

A RequestError survives pickling, so that it may cross a process boundary.
"""

from __future__ import annotations

from features.errors import FieldError, InvalidInput


class RequestError(Exception):
    """Base of the errors that are not about the value of a field."""


class MalformedJson(RequestError):
    """The body cannot be parsed; the message says where."""


class TooLarge(RequestError):
    """The body has more bytes or more items than allowed; the message names both numbers."""


class Unauthorized(RequestError):
    """The request carries no key, or a wrong one."""


class NotFound(RequestError):
    """The thing that the request names does not exist."""


class Conflict(RequestError):
    """The state is not the one that the request expects."""


class Unavailable(RequestError):
    """An answer that cannot be had now; it may be had after `retry_after_s` seconds."""

    def __init__(self, message: str, retry_after_s: float = 1.0) -> None:
        super().__init__(message, retry_after_s)
        self.retry_after_s = retry_after_s

    def __str__(self) -> str:
        return str(self.args[0])


class Overloaded(Unavailable):
    """More requests wait for an arm than its queue holds, or than it answers in time."""


class NoArmAvailable(Unavailable):
    """A request that no arm of the policy can answer."""


class InvalidFields(InvalidInput):
    """Several fields hold values that the contract does not allow.

    Attributes:
        errors: the first of them, at least two.
    """

    def __init__(self, errors: tuple[FieldError, ...]) -> None:
        super().__init__("; ".join(map(str, errors)))
        self.errors = errors
