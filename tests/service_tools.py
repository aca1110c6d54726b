"""A deletion service over a small workspace: tokens of every role, and short words for calls."""

import json
from pathlib import Path
from typing import Any

import httpx
from starlette.testclient import TestClient

from tests.ledger_tools import KEYS, Travel
from tmu.data.info import STORE_FILE, SplitRule, StoreInfo
from tmu.files import write_json
from tmu.ledger.actor import OPERATOR
from tmu.ledger.place import open_ledger
from tmu.service.app import create_app
from tmu.service.limits import Limits
from tmu.service.roles import Role
from tmu.service.tokens import create, tokens_of
from tmu.workspace import Workspace

NO_HASTE = Limits(per_second=1e6, burst=10**6, failures=10**6)


def described_home(folder: Path) -> Path:
    """A workspace whose store is only described: intake needs its name and its secret, not its records."""
    (folder / "params.yaml").write_text("{}")
    info = StoreInfo(
        reader="digits",
        dataset="digits",
        shape=(1, 8, 8),
        classes=("0", "1"),
        key_id=KEYS.id,
        simulated=True,
        split_rule=SplitRule(),
    )
    write_json(folder / "data" / STORE_FILE, info.model_dump(mode="json"))
    (folder / ".tmu").mkdir(exist_ok=True)
    return folder


class Api:
    """The service of a workspace in this process. tokens: the text of one token of each role, named after it."""

    def __init__(self, home: Path, limits: Limits = NO_HASTE, now: Travel | None = None):
        self.home, self.workspace = home, Workspace.open(home)
        self.ledger = open_ledger(self.workspace)
        if now is not None:
            self.ledger.now = now
        self.kept = tokens_of(self.workspace)
        self.tokens = {role: self.token(role, role) for role in Role}
        self.app = create_app(self.workspace, self.ledger, limits=limits, tokens=self.kept)
        self.client = TestClient(self.app, raise_server_exceptions=False)

    def token(self, name: str, *roles: Role, days: int = 90) -> str:
        return create(self.ledger, self.kept, name, list(roles), days, OPERATOR)[1]

    def call(self, token: str | None, method: str, path: str, body: Any = None, **more: Any) -> httpx.Response:
        """token: its text, or a role's name."""
        headers = more.pop("headers", {})
        if token is not None:
            headers |= {"Authorization": f"Bearer {self.tokens.get(token, token)}"}
        if body is not None:
            more["json"] = body
        return self.client.request(method, path, headers=headers, **more)

    def good(self, token: str | None, method: str, path: str, body: Any = None, **more: Any) -> Any:
        """The call must succeed; returns what it answered."""
        answer = self.call(token, method, path, body, **more)
        assert answer.is_success, answer.text
        return answer.json()

    def bad(self, token: str | None, method: str, path: str, body: Any = None, *, status: int, **more: Any) -> str:
        """The call must be refused with a problem document; returns what it says."""
        answer = self.call(token, method, path, body, **more)
        assert answer.status_code == status, answer.text
        assert answer.headers["content-type"] == "application/problem+json"
        value = answer.json()
        assert value["status"] == status
        assert value["what"] and value["hint"]
        return json.dumps(value)

    def ask(self, id_: str = "case-1", *people: str, by: str = Role.REQUESTER, **more: Any) -> Any:
        return self.good(by, "POST", "/requests", {"id": id_, "subjects": list(people or (id_ + "-person",)), **more})

    def close(self) -> None:
        self.client.close()
        self.ledger.close()
