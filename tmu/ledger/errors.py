"""What the ledger refuses. A layer above HTTP maps the classes to 404, 403 and 409 (a plain RequestError: 422)."""

from tmu.errors import DataError, RequestError


class UnknownError(RequestError):
    """There is no request, hold, batch or execution of that name (404)."""


class ForbiddenError(RequestError):
    """The actor may not do that: not authenticated, or the second pair of eyes is the first (403)."""


class ConflictError(RequestError):
    """It contradicts what is on record: another payload, a state that does not allow it, an old token (409)."""


class HeldError(RequestError):
    """A legal hold covers it: nothing was touched."""


class ChainError(DataError):
    """The audit log, or what it says beside the requests, does not hold together."""
