"""The login of MLflow's server, by the variables that MLflow's clients read; they take it in no other way."""

import os

from tmu.settings import Settings


def login_variables(settings: Settings) -> dict[str, str]:
    """MLFLOW_TRACKING_USERNAME and …_PASSWORD of the server that the settings name; empty where it asks for none."""
    if settings.mlflow_login is None or not (settings.mlflow_uri or "").startswith("http"):
        return {}
    name, _, password = settings.mlflow_login.get_secret_value().partition(":")
    return {"MLFLOW_TRACKING_USERNAME": name, "MLFLOW_TRACKING_PASSWORD": password}


def log_in(settings: Settings) -> None:
    """Let this process's clients of MLflow log in. The login goes with the address, so both are the settings'."""
    os.environ.update(login_variables(settings))
