"""moto's server with the stack's own keys: `python -m infra.stack.moto_main PORT`, keys in the environment.

It refuses other keys: the owner may do everything, the auditor list and read. moto makes keys of its own choice through
its IAM endpoint; each start would have others, so the ones of the settings are put in their place.
"""

import json
import os
import sys
from typing import Any

from infra.stack.s3 import AUDITOR, OWNER, policy
from infra.stack.secret_file import BUCKETS

_ACCOUNT = "123456789012"
_ALL = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}


def give_keys(key: str, secret: str, *, user: str, policy: dict[str, Any]) -> None:
    """A user of moto's IAM, in this process, with that key and policy."""
    from moto.backends import get_backend

    iam = get_backend("iam")[_ACCOUNT]["aws"]
    iam.create_user("us-east-1", user)
    iam.put_user_policy(user, f"{user}-policy", json.dumps(policy))
    made = iam.create_access_key(user)
    del iam.access_keys[made.physical_resource_id]
    made.access_key_id, made.secret_access_key = key, secret
    iam.access_keys[key] = made


def make_buckets() -> None:
    """The stack's buckets, with versions kept: what moto held before is gone."""
    from moto.backends import get_backend

    store = get_backend("s3")[_ACCOUNT]["aws"]
    for bucket in BUCKETS.values():
        store.create_bucket(bucket, "us-east-1")
        store.put_bucket_versioning(bucket, "Enabled")


def main() -> None:
    """Make keys and buckets, then serve; from the first call on moto checks signatures and policies."""
    os.environ["INITIAL_NO_AUTH_ACTION_COUNT"] = "0"
    give_keys(os.environ["OWNER_KEY"], os.environ["OWNER_SECRET"], user=OWNER, policy=_ALL)
    reads = policy(BUCKETS.values(), principal=False)
    give_keys(os.environ["AUDITOR_KEY"], os.environ["AUDITOR_SECRET"], user=AUDITOR, policy=reads)
    make_buckets()
    from moto.server import main as serve

    serve(["-H", "127.0.0.1", "-p", sys.argv[1]])


if __name__ == "__main__":
    main()
