"""The example for receivers in docs/notifications.md does what it says; the document names every event and setting."""

import re
import threading
from http.server import HTTPServer
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import httpx
import pytest

from tests.ledger_tools import in_memory, put
from tests.notify_tools import SECRET, listening
from tmu.ledger import outbox
from tmu.ledger.store import utc_now
from tmu.notify.sender import deliver

PAGE = (Path(__file__).parents[3] / "docs" / "notifications.md").read_text()


def test_the_example_takes_what_is_signed_and_refuses_the_rest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    kept: dict[str, bytes] = {}
    (tmp_path / "example.py").write_text(example)
    spec = spec_from_file_location("example", tmp_path / "example.py")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    module.keep = kept.setdefault
    monkeypatch.setenv("SECRET", SECRET)
    server = HTTPServer(("127.0.0.1", 0), type("Quiet", (module.Receiver,), {"log_message": lambda *_: None}))
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}/"
    try:
        ledger = in_memory()
        ledger.now = utc_now
        put(ledger, "r1")
        assert deliver(ledger, listening(url))["delivered"] == 1
        (body,) = kept.values()
        assert b'"received"' in body
        forged = {"Tmu-Signature": "t=1,v1=00", "Tmu-Delivery": "x"}
        assert httpx.post(url, content=b"{}", headers=forged).status_code == 401
        assert "x" not in kept
    finally:
        server.shutdown()
        server.server_close()


def test_every_event_is_named() -> None:
    assert all(f"`{event}`" in PAGE for event in outbox.STATES | outbox.OTHERS)
