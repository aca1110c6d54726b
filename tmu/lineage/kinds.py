"""The kinds of things that may hold a person, in one registry. What is not declared here fails a test.

A new artifact kind, a new `Ref`, a new entry of `.tmu/`: declare what it may hold and how a person reached it, and give
it a place in `tmu/purge/places/` if it may hold anything.
"""

from dataclasses import dataclass

from tmu.purge.trace import Holds

IMAGES, KEYS, OUTPUTS, WEIGHTS, NAMES = Holds


@dataclass(frozen=True)
class Kind:
    """One kind of thing.

    holds: what it may hold of a person; empty: nothing by design. reached: how a person comes to be in it. places: the
    modules of `tmu/purge/places/` that purge it. artifact: the kind in the artifact store, and of its `Ref`. folders:
    entries of `.tmu/` that are of this kind.
    """

    name: str
    holds: tuple[Holds, ...]
    reached: str
    places: tuple[str, ...] = ()
    artifact: str = ""
    folders: tuple[str, ...] = ()


KINDS = (
    Kind(
        "revision",
        (IMAGES, KEYS),
        "the record store at one moment: its list of files in DVC, and a copy that was taken out of DVC's cache",
        ("data",),
        "data",
        ("revisions",),
    ),
    Kind(
        "shard",
        (IMAGES, KEYS),
        "the bucket of the person's key; its keys, picture digests and decoded pictures are cached outside of the data",
        ("data", "data_caches"),
        folders=("index", "contents", "decoded", "md5s.json"),
    ),
    Kind(
        "statistics",
        (WEIGHTS,),
        "sums over the features of a revision's training records, from which a ridge head is solved",
        ("artifacts",),
        "statistics",
    ),
    Kind("references", (OUTPUTS, KEYS), "a row in the shard of the record's bucket", ("artifacts",), "references"),
    Kind(
        "unfinished references",
        (OUTPUTS, WEIGHTS),
        "networks of a fit that was interrupted learned halves of a revision",
        ("artifacts",),
        folders=("references",),
    ),
    Kind(
        "snapshot",
        (WEIGHTS,),
        "weights and optimiser state of a training that was interrupted; its name begins with the revision",
        ("artifacts",),
        folders=("snapshots",),
    ),
    Kind(
        "start",
        (),
        "weights that every training begins with, trained elsewhere: no deletion reaches what they learned there",
        artifact="start",
    ),
    Kind("original", (WEIGHTS,), "trained on a revision", ("artifacts",), "model"),
    Kind("gold", (WEIGHTS,), "trained on a revision without a forget set", ("artifacts",), "model"),
    Kind("unlearned", (WEIGHTS,), "made of an original; it forgot one forget set alone", ("artifacts",), "model"),
    Kind("twin", (WEIGHTS, OUTPUTS), "made of an original; it learned the hold-out, too", ("artifacts",), "twin"),
    Kind(
        "reference-twin", (), "coefficients, quantiles, rates and leads over all references: of no record", (), "twin"
    ),
    Kind("probes", (OUTPUTS,), "numbers of each record of a forget set, without keys", ("artifacts",), "probes"),
    Kind(
        "answers",
        (OUTPUTS, KEYS),
        "what a model said of the people whom an audit looked at beside those who were forgotten",
        ("artifacts",),
        "answers",
    ),
    Kind(
        "audit",
        (),
        "numbers of a forget set as a whole and of its people in the order of their evidence, without keys",
        ("artifacts",),
        "audit",
    ),
    Kind(
        "export",
        (),
        "the record of a model's copy elsewhere; the copy itself is named by a purge, and out of its reach",
        ("exports",),
        "export",
    ),
    Kind("forget", (KEYS,), "the record keys of a request", ("forget_sets",), "forget"),
    Kind("stage folder", (IMAGES, KEYS, OUTPUTS, WEIGHTS), "what a `dvc.yaml` stage left in `out/`", ("artifacts",)),
    Kind(
        "artifact store",
        (),
        "the folder of all artifacts, or what was fetched of them from S3",
        folders=("artifacts", "cache"),
    ),
    Kind("purge note", (), "what a purge destroyed", folders=("purged", "purged-data.json")),
    Kind("suppression", (), "marks of what was erased, under a secret of their own", folders=("suppression",)),
    Kind("MLflow run", (NAMES,), "parameters, tags and numbers of its making", ("mlflow",), folders=("mlflow.db",)),
    Kind("MLflow version", (WEIGHTS,), "a registered model", ("mlflow",), folders=("versions",)),
    Kind("MLflow logged model", (WEIGHTS,), "the files behind a version", ("mlflow",), folders=("mlartifacts",)),
    Kind("MLflow dataset row", (NAMES,), "digest of a revision and of a forget set", ("mlflow",)),
    Kind("Prefect result", (NAMES,), "references that a task handed over", ("prefect_files",), folders=("prefect",)),
    Kind("Prefect parameter", (KEYS,), "keys that a run was asked for", ("prefect_runs",)),
    Kind("journal", (KEYS,), "what a deletion was asked for", ("journal",), folders=("requests",)),
    Kind("ledger", (KEYS,), "who asked for what", ("ledger",), folders=("ledger.db", "inbox")),
    Kind("purge record", (KEYS,), "the scope of a purge until its end", folders=("purges",)),
    Kind("DVC's site cache", (NAMES,), "names and digests of files", ("dvc_scratch",), folders=("dvc-site",)),
    Kind(
        "search inventory",
        (IMAGES, KEYS),
        "what the independent search looks for; destroyed when it has passed",
        folders=("searches",),
    ),
    Kind("evidence", (), "certificate, manifest and report of a request, without keys", folders=("evidence",)),
    Kind("notice", (), "what consumers of a model were told, and answered", folders=("notices",)),
    Kind(
        "replay",
        (WEIGHTS,),
        "what a killed replay was building: it began with a model that learned",
        ("artifacts",),
        folders=("replays",),
    ),
    Kind("scratch", (IMAGES, WEIGHTS), "what a killed process was building", ("temporary",), folders=("scratch",)),
    Kind(
        "record of the workspace",
        (),
        "keys of HMACs, tokens, locks, settings, heads: of no data subject of the records",
        folders=(
            "hash.key", "certificate", "tokens.json", ".gitignore", "room", "doctor", "imports.json", "timestamps",
            "stack.toml", "heads", "stack", "stack.lock", "evidence.lock", "threads.json", "threads.lock",
            "owner.json", "owner.lock",
            "committed", "run.lock", "journal.lock", "request.lock", "data.lock", "mlflow.lock",
        ),
    ),
    Kind(
        "server of the stack",
        (IMAGES, KEYS, WEIGHTS, NAMES),
        "the stores of `make up`: reached through their own protocols",
        folders=("ceph", "logs", "postgres", "moto", "supervisord.conf", "supervisord.pid", "supervisor.sock"),
    ),
)  # fmt: skip


def kind_of_artifact(kind: str, stage: str = "") -> Kind | None:
    """The kind of an artifact by its folder in the store and the stage in its identity; None: not declared."""
    of_kind = [each for each in KINDS if each.artifact == kind]
    return next((each for each in of_kind if each.name == stage), of_kind[0] if of_kind else None)
