"""What earlier runs on this machine took, and how their audits ended: read from the artifacts that are kept here."""

import contextlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from statistics import median
from typing import Any, Literal

from tmu import manifest
from tmu.audit.table import ORIGINAL
from tmu.config import Params, TrainConfig
from tmu.deletion.deletion import AuditVerdict
from tmu.deletion.plan import RETRAIN
from tmu.errors import StorageError
from tmu.files import read_json
from tmu.provenance import code_digest, hardware
from tmu.steps.making import lane_apart, lane_known
from tmu.steps.references_table import recipe_of
from tmu.steps.train_ranks import ranks_of
from tmu.steps.unlearn_model import code_of
from tmu.unlearn import read_options
from tmu.workspace import Workspace

Ended = Literal["passed", "failed", "inconclusive"]
OF_TWIN = {"twin": "twin"}  # what determines a twin's cost: name in its identity, name in `Params`
_SAME = ("machine", "processor", "gpu")  # of `hardware()`; threads and precision are in the lane


@dataclass(frozen=True)
class Run:
    """One finished artifact: what determined it, its run record, the digest of its weights, how it ended (an audit)."""

    identity: dict[str, Any]
    record: dict[str, Any]
    weights: str | None
    ended: Ended | None

    @property
    def seconds(self) -> float:
        """What making it took."""
        return float(self.record["seconds_total"])


class History:
    """The runs of a workspace, read once. What cannot be read is passed over: history is a help, not a condition."""

    def __init__(self, workspace: Workspace, params: Params) -> None:
        here = hardware()
        self._params = params
        self._machine = {name: here[name] for name in _SAME}
        self._lanes = {"train": lane_known(workspace, params.train), "twin": lane_known(workspace, params.twin.train)}
        self._lanes["apart"] = lane_apart(workspace, params.train)  # of the references
        self._lanes["whole"] = self._lanes["train"] | ranks_of(workspace)  # of originals, golds and retrained models
        self._model = params.model.made_of()
        self._twin = {name: getattr(params, part).model_dump(mode="json") for name, part in OF_TWIN.items()}
        self._references = recipe_of(params)
        kinds = ("model", "twin", "audit", "references")
        self.models, self.twins, self.audits, self.tables = (list(_runs(workspace, kind)) for kind in kinds)

    def seconds_per_visit(self) -> float | None:
        """Median seconds of training per record and epoch: originals and golds of this architecture and kind of head,
        uninterrupted.
        """
        return _median(
            run.seconds / (_epochs(run) * run.record["n_records"])
            for run in self.models
            if run.identity["stage"] in ("original", "gold")
            and "adopted" not in run.identity
            and run.identity["model"] == self._model
            and run.identity["train"].get("head", "sgd") == self._params.train.head
            and not run.record["resumed_at"]
            and self._here(run, "whole")
        )

    def seconds_unlearning(self, method: str, options: dict[str, Any]) -> float | None:
        """Median seconds of this method with these options, the twin not counted."""
        asked = _asked(method, options)
        lane = "whole" if method == RETRAIN else "train"
        return _median(run.seconds for run in self.models if _method_of(run) == asked and self._here(run, lane))

    def seconds_twin(self) -> float | None:
        """Median seconds of fitting a twin with this config."""
        return _median(run.seconds for run in self.twins if self._same_twin(run) and self._here(run, "twin"))

    def seconds_references(self) -> float | None:
        """Median seconds of fitting references by this recipe, uninterrupted."""
        return _median(
            run.seconds
            for run in self.tables
            if {name: run.identity[name] for name in self._references} == self._references
            and not run.record["resumed_at"]
            and self._here(run, "apart")
        )

    def seconds_reference_twin(self) -> float | None:
        """Median seconds of fitting the twin problems on a table, of this recipe and no other architecture."""
        recipe = self._params.train.model_dump(mode="json")
        others = {run.weights for run in self.models if run.identity.get("model", self._model) != self._model}
        return _median(
            run.seconds
            for run in self.twins
            if run.identity.get("references")
            and run.identity["recipe"] == recipe
            and run.identity.get("original") not in others
            and self._here(run, "train")
        )

    def seconds_audit(self) -> float | None:
        """Median seconds of an audit by the references' table."""
        return _median(run.seconds for run in self.audits if run.identity.get("references") and self._near(run))

    def seconds_recomputation(self) -> float | None:
        """Median seconds of an audit by recomputation."""
        return _median(run.seconds for run in self.audits if run.identity.get("statistics") and self._near(run))

    def has_twin(self, data_digest: str) -> bool:
        """Whether a twin of this data revision and config is there already."""
        return any(run.identity["data"] == data_digest and self._same_twin(run) for run in self.twins)

    def audited(self, method: str, options: dict[str, Any]) -> list[Ended]:
        """How the audits of this method, as coded and configured now, ended: one a request, oldest first.

        An audit of what came after a model of the method is none of the method.
        """
        if not self.audits:
            return []
        asked, code = _asked(method, options), code_digest(*code_of(self._params.with_method(method)))
        mine = {run.weights for run in self.models if _method_of(run) == asked and run.identity["code"] == code}
        latest: dict[str, Ended] = {}
        for run in sorted(self.audits, key=lambda run: run.record["at"]):
            judged = {weights for row, weights in run.identity["models"].items() if row != ORIGINAL}
            if run.ended is not None and mine & judged:
                latest.pop(run.identity["forget"], None)
                latest[run.identity["forget"]] = run.ended
        return list(latest.values())

    def _same_twin(self, run: Run) -> bool:
        return {name: run.identity.get(name) for name in OF_TWIN} == self._twin

    def _here(self, run: Run, lane: str) -> bool:
        """Whether that run's seconds say something about this machine as it is set up now."""
        return run.identity["lane"] == self._lanes[lane] and self._near(run)

    def _near(self, run: Run) -> bool:
        there = run.record["hardware"]
        return {name: there[name] for name in _SAME} == self._machine


def passes_of(recipe: TrainConfig) -> int:
    """How often a training looks at each record."""
    return 1 if recipe.head == "ridge" else recipe.epochs


_NEEDED = {
    "original": {"train", "model", "lane"},
    "gold": {"train", "model", "lane"},
    "unlearned": {"method", "options", "lane", "code"},
    "twin": {"data", "lane", *OF_TWIN},
    "reference-twin": {"data", "lane", "references", "recipe"},
    "audit": {"models", "forget"},
    "references": {"data", "model", "train", "references", "seed", "lane"},
}


def _runs(workspace: Workspace, kind: str) -> Iterator[Run]:
    for folder in workspace.artifacts.held(kind):
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError, StorageError):
            made, record = manifest.read(folder), read_json(folder / manifest.RUN)
            identity, ended = made["identity"], None
            if identity["stage"] == "audit":
                ended = AuditVerdict.of(read_json(folder / "audit.json")["verdict"]).outcome
            if _NEEDED[identity["stage"]] <= set(identity) and {"seconds_total", "hardware", "at"} <= set(record):
                yield Run(identity, record, made["files"].get("weights.safetensors"), ended)
    for purged in workspace.artifacts.purged.of(kind):
        with contextlib.suppress(KeyError):
            identity, record = purged.manifest["identity"], purged.run
            # an audit is not counted: its verdict went with it
            if identity["stage"] != "audit" and {"seconds_total", "hardware", "at"} <= set(record):
                yield Run(identity, record, purged.manifest["files"].get("weights.safetensors"), None)


def _asked(method: str, options: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    return method.replace("_", "-"), read_options(method, options).model_dump(mode="json")


def _method_of(run: Run) -> tuple[Any, Any]:
    return run.identity.get("method"), run.identity.get("options")


def _epochs(run: Run) -> int:
    """How often a training looked at each record: by its recipe, or until it stopped early."""
    if run.record.get("best_epoch") is not None:
        return len(run.record["history"])
    return passes_of(TrainConfig.model_validate(run.identity["train"]))


def _median(values: Iterable[float]) -> float | None:
    found = list(values)
    return median(found) if found else None
