"""moto's server: a stand-in for an S3 store, for a quick look. It keeps everything in memory and loses it at a stop."""

import functools
import sys

from infra.stack import health, s3
from infra.stack.place import ROOT, Stack
from infra.stack.ports import port_of
from infra.stack.server import Server

WARNING = (
    "The S3 store is moto, for trials only: it is in memory, and empty after each stop. "
    "For Ceph: install it (`infra/install.sh`), `make down ARGS=--delete-data`, `make up`; the ledger and the models "
    "begin anew, the data stay."
)


def servers(stack: Stack) -> list[Server]:
    """The one process; its keys and buckets are made anew at each start (`moto_main.py`)."""
    port = port_of(stack.need("s3_endpoint"), "s3_endpoint")
    keys = {
        "OWNER_KEY": stack.need("s3_access_key"),
        "OWNER_SECRET": stack.need("s3_secret_key"),
        "AUDITOR_KEY": stack.need("s3_read_key"),
        "AUDITOR_SECRET": stack.need("s3_read_secret"),
    }
    return [
        Server(
            name="s3",
            label="S3 (moto: a stand-in)",
            command=[sys.executable, "-m", "infra.stack.moto_main", str(port)],
            environment=stack.variables("s3", MOTO_PORT=str(port), **keys),
            folder=str(ROOT),
            probe=health.s3(functools.partial(s3.client, stack)),
            port=port,
            page=stack.need("s3_endpoint"),
        )
    ]
