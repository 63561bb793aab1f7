"""Errors of a request, beside those of its fields (features.errors).

RequestError
 |- MalformedJson        the body is no JSON at all
 |- TooLarge             more than one request may carry
 |- UnknownEncoding      a body in an encoding that is not read
 |- Unauthorized         no key, or a wrong one
 |- TooManyFailures      without the right key, from one address
 |- TooSlow              the body comes too slowly
 |- ClientLeft           the client went before its body was whole
 |- NotFound             what the request names does not exist
 |- Conflict             the state is not the one that the request expects
 |   `- IdInUse          the id stands for another instance
 `- Unavailable          try again after `retry_after_s`
     |- Overloaded       an arm is asked more than it can answer
     `- NoArmAvailable   no arm can answer

InvalidFields            several FieldErrors in one body

A RequestError survives pickling, so that it may cross a process boundary.
"""

from __future__ import annotations

from features.errors import FieldError, InvalidInput, cut

# The errors of one body that are told; further ones are counted.
MAX_ERRORS = 20
_MAX_TEXT = 1500


class RequestError(Exception):
    """Base of the errors that are not about the value of a field."""


class MalformedJson(RequestError):
    """The body cannot be parsed; the message says where."""


class TooLarge(RequestError):
    """The body has more bytes or more items than allowed; the message names both numbers."""


class UnknownEncoding(RequestError):
    """The body is compressed, or encoded otherwise than as it is."""


class Unauthorized(RequestError):
    """The request carries no key, or a wrong one."""


class TooManyFailures(RequestError):
    """Too many requests without the right key come from one address; it may try again after a while."""

    def __init__(self, message: str, retry_after_s: float) -> None:
        super().__init__(message, retry_after_s)
        self.retry_after_s = retry_after_s

    def __str__(self) -> str:
        return str(self.args[0])


class TooSlow(RequestError):
    """The body of the request has not come in time; the message says how much of it came."""


class ClientLeft(RequestError):
    """The client has closed the connection before its body was whole."""


class NotFound(RequestError):
    """The thing that the request names does not exist."""


class Conflict(RequestError):
    """The state is not the one that the request expects."""


class IdInUse(Conflict):
    """The id of an instance stands for another one, which was sent before."""

    def __init__(self, id_: str) -> None:
        super().__init__(id_)
        self.id = id_

    def __str__(self) -> str:
        return (
            f"id: {self.id!r} was sent before with another instance, and its truth is of that one;"
            " send this instance with an id of its own, or without one"
        )


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

    Args:
        errors: of them, at least two in all with `more`.
        more: further ones.

    Attributes:
        errors: the first of them, at most MAX_ERRORS.
        more: the number of the others, as far as the body was read.
    """

    def __init__(self, errors: tuple[FieldError, ...], more: int = 0) -> None:
        self.errors = errors[:MAX_ERRORS]
        self.more = more + len(errors) - len(self.errors)
        rest = f"; and {self.more:,} more" if self.more else ""
        super().__init__(cut("; ".join(map(str, self.errors)), _MAX_TEXT) + rest)
