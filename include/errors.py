"""What can go wrong in a way that a person should read: one sentence each.

Every message says what was expected, what was found, and what to do.
"""


class RegularsError(Exception):
    """Something a person must know about."""


class BadInput(RegularsError):
    """Data, policy or a request is wrong; trying again without a change cannot help."""


class QualityStop(BadInput):
    """A critical check failed; nothing was published."""


class Superseded(RegularsError):
    """A newer attempt or run has taken over; this one must not publish."""


class Unreachable(RegularsError):
    """A server did not answer; trying again later may help."""
