"""What every request to Prefect's and MLflow's server passes first: the Host, the page it comes from, the login.

A page of another site, open in a browser on this machine, can send requests here, and by a name of its own that leads
to the loopback (DNS rebinding) even read the answers. Any local account can open the port. The servers listen nowhere
else, so nothing gets around this (docs/decisions/0011-doors.md).
"""

import base64
import secrets
from collections.abc import Collection

from starlette.authentication import AuthCredentials, AuthenticationBackend, AuthenticationError, SimpleUser
from starlette.datastructures import Headers
from starlette.middleware.authentication import AuthenticationMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from infra.stack.ports import LOOPBACK

HOSTS = (LOOPBACK, "localhost")


def guarded(
    app: ASGIApp,
    port: int,
    *,
    login: str | None = None,
    open_paths: Collection[str] = (),
    closed: Collection[str] = (),
) -> ASGIApp:
    """The application behind all checks.

    port: where it listens. login: `name:password` that every call must bring (HTTP basic auth), but for `open_paths`;
    None: the application asks for it itself. closed: beginnings of paths that nobody may call.
    """
    app = Without(app, closed)
    if login is not None:
        backend = BasicLogin(login, open_paths)
        app = AuthenticationMiddleware(app, backend=backend, on_error=_ask)
    app = OwnPages(app, origins(port))
    return TrustedHostMiddleware(app, allowed_hosts=HOSTS, www_redirect=False)


def origins(port: int) -> tuple[str, ...]:
    """The origins of a server's own pages."""
    return tuple(f"http://{host}:{port}" for host in HOSTS)


class OwnPages:
    """Refuses with 403 what a page of another origin sends, web sockets included.

    Browsers say where a request comes from: in `Origin`, and in `Sec-Fetch-Site` where they leave that out. A link that
    a person follows from elsewhere is let pass. Programs send neither header; the login is for them.
    """

    def __init__(self, app: ASGIApp, allowed: Collection[str]) -> None:
        self.app, self.allowed = app, frozenset(allowed)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in ("http", "websocket") and self._foreign(scope):
            refused = PlainTextResponse("Requests from pages of another origin are refused.", status_code=403)
            await refused(scope, receive, send)
            return
        await self.app(scope, receive, send)

    def _foreign(self, scope: Scope) -> bool:
        headers = Headers(scope=scope)
        if named := headers.getlist("origin"):
            return not self.allowed.issuperset(named)
        if headers.get("sec-fetch-site", "none") in ("none", "same-origin"):
            return False
        follows_link = (headers.get("sec-fetch-mode"), headers.get("sec-fetch-dest")) == ("navigate", "document")
        return not (follows_link and scope.get("method") in ("GET", "HEAD"))


class Without:
    """An application without some of its paths: they are not found (404)."""

    def __init__(self, app: ASGIApp, closed: Collection[str]) -> None:
        self.app, self.closed = app, tuple(closed)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in ("http", "websocket") and scope["path"].startswith(self.closed):
            await PlainTextResponse("Not found.", status_code=404)(scope, receive, send)
            return
        await self.app(scope, receive, send)


class BasicLogin(AuthenticationBackend):
    """HTTP basic auth with one login, compared in constant time."""

    def __init__(self, login: str, open_paths: Collection[str] = ()) -> None:
        self.login, self.open_paths = login.encode(), frozenset(open_paths)

    async def authenticate(self, conn: HTTPConnection) -> tuple[AuthCredentials, SimpleUser] | None:
        """The one user. Raises AuthenticationError for everybody else."""
        if conn.scope["type"] == "http" and conn.scope["method"] == "GET" and conn.scope["path"] in self.open_paths:
            return None
        scheme, _, given = conn.headers.get("authorization", "").partition(" ")
        try:
            decoded = base64.b64decode(given, validate=True)
        except ValueError:  # not base64, or not even ASCII
            decoded = b""
        if scheme.lower() != "basic" or not secrets.compare_digest(decoded, self.login):
            raise AuthenticationError("Login wanted.")
        return AuthCredentials(["authenticated"]), SimpleUser(self.login.decode().partition(":")[0])


def _ask(_: HTTPConnection, error: Exception) -> Response:
    return PlainTextResponse(str(error), status_code=401, headers={"WWW-Authenticate": 'Basic realm="tmu"'})
