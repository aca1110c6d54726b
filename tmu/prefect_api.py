"""The address of a Prefect server, and the login that it asks for. A client of it: `infra/prefect_ops/client.py`."""

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tmu.settings import Settings


@dataclass(frozen=True)
class PrefectApi:
    """A server. url: of its API; login: `name:password`, None where it asks for none."""

    url: str
    login: str | None = field(default=None, repr=False)

    @property
    def auth(self) -> tuple[str, str] | None:
        """The login as httpx takes it."""
        name, _, password = (self.login or "").partition(":")
        return (name, password) if self.login else None

    def environment(self) -> dict[str, str]:
        """The variables by which Prefect's clients find the server."""
        login = {"PREFECT_API_AUTH_STRING": self.login} if self.login else {}
        return {"PREFECT_API_URL": self.url, **login}


def api_of(settings: "Settings") -> PrefectApi | None:
    """PREFECT_API_URL, else the setting `prefect_api_url`; None where there is no server.

    The login: PREFECT_API_AUTH_STRING, else the setting `prefect_login`, which no other server is told than that of the
    settings.
    """
    url = os.environ.get("PREFECT_API_URL") or settings.prefect_api_url
    if not url:
        return None
    ours = settings.prefect_login if url == settings.prefect_api_url else None
    login = os.environ.get("PREFECT_API_AUTH_STRING") or (ours.get_secret_value() if ours else None)
    return PrefectApi(url, login)
