"""The key pair of the S3 store: from the settings, unless the environment names credentials in Amazon's own way."""

import os
from dataclasses import dataclass

from pydantic import SecretStr

from tmu.errors import ConfigError
from tmu.settings import Settings

_AMAZONS = ("AWS_ACCESS_KEY_ID", "AWS_PROFILE", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_FULL_URI")
_REGION = "us-east-1"


@dataclass(frozen=True)
class S3Keys:
    """An access key with its secret, which no `repr` shows."""

    access: str
    secret: SecretStr

    def environment(self) -> dict[str, str]:
        """The pair as AWS_* variables of a child process; the region only where none is named."""
        region = {} if os.environ.get("AWS_DEFAULT_REGION") else {"AWS_DEFAULT_REGION": _REGION}
        return {"AWS_ACCESS_KEY_ID": self.access, "AWS_SECRET_ACCESS_KEY": self.secret.get_secret_value(), **region}

    def client_options(self) -> dict[str, str]:
        """The pair as options of `boto3.client`."""
        region = os.environ.get("AWS_DEFAULT_REGION") or _REGION
        secret = self.secret.get_secret_value()
        return {"aws_access_key_id": self.access, "aws_secret_access_key": secret, "region_name": region}


def s3_keys(settings: Settings) -> S3Keys | None:
    """The key pair that the settings name; None where AWS_* variables are set, which win, or where there is none."""
    if any(os.environ.get(name) for name in _AMAZONS):
        return None
    access, secret = settings.s3_access_key, settings.s3_secret_key
    if (access is None) != (secret is None):
        raise ConfigError("Of the S3 key only one half is set.", "Set `s3_access_key` and `s3_secret_key`, or neither.")
    return S3Keys(access, secret) if access is not None and secret is not None else None
