"""The stores, one file each. Each is looked at by itself, and none by the code that purges it."""

from tmu.search.ground import Haystack
from tmu.search.haystacks.databases import Databases
from tmu.search.haystacks.folders import Folders
from tmu.search.haystacks.mlflow_server import MlflowServer
from tmu.search.haystacks.s3 import Buckets
from tmu.search.haystacks.temporary import Temporary
from tmu.search.haystacks.workspace import WorkspaceFiles


def all_haystacks() -> list[Haystack]:
    """All of them."""
    return [WorkspaceFiles(), Folders(), Buckets(), Databases(), MlflowServer(), Temporary()]
