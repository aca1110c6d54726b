"""Train an original on all training records, or a gold on those that a deletion leaves."""

from pathlib import Path
from typing import Any, Literal

from tmu.config import Params, Seeds
from tmu.data.store import RecordStore
from tmu.errors import DataError
from tmu.files import digest_of
from tmu.manifest import digest
from tmu.models.bundle import Arch, save_bundle
from tmu.models.bundle_files import weights_digest
from tmu.models.fitting import refuse_misfit
from tmu.models.registry import module_of
from tmu.refs import DataRef, ForgetRef, ModelRef
from tmu.steps.held_records import held_records
from tmu.steps.loading import examples, forget_keys, fresh_model, open_without, path_of
from tmu.steps.making import identity_of, lane_of, make
from tmu.steps.ridge_statistics import keep_statistics
from tmu.steps.starts import start_of
from tmu.steps.suppress import refuse_suppressed
from tmu.steps.train_ranks import RankedTraining, ranks_of, training_engine
from tmu.train.engine import Progress
from tmu.workspace import Workspace


def code_of(params: Params) -> tuple[str, ...]:
    """The modules whose closure is the code of this step."""
    return (__name__, module_of(params.model.name))


def train_original(
    workspace: Workspace, data: DataRef, params: Params, *, progress: Progress | None = None, out: str | None = None
) -> ModelRef:
    """M_o: the recipe of `params` on the whole training split."""
    training = _Training(role="original", data=data, params=params, seeds=Seeds.all(params.seed))
    return _train(workspace, training, progress, out)


def train_gold(
    workspace: Workspace,
    data: DataRef,
    forget: ForgetRef,
    params: Params,
    *,
    run: int = 0,
    progress: Progress | None = None,
    out: str | None = None,
) -> ModelRef:
    """M_g: the same recipe without the forget set.

    Run 0 is paired: it shares the original's seeds, so that it differs by the forgotten records alone. Every other run
    has seeds of its own and is independent; the noise floor comes from those.
    """
    return _train(workspace, _gold(data, forget, params, run), progress, out)


def gold_is_made(workspace: Workspace, data: DataRef, forget: ForgetRef, params: Params, run: int) -> bool:
    """Whether the artifact store holds that gold."""
    training = _gold(data, forget, params, run)
    return workspace.artifacts.find("model", digest_of(_identity(workspace, training))) is not None


def _gold(data: DataRef, forget: ForgetRef, params: Params, run: int) -> "_Training":
    seeds = Seeds.all(params.seed if run == 0 else params.seed + 10_000 * run)
    return _Training(role="gold", data=data, forget=forget, params=params, seeds=seeds)


class _Training(RankedTraining):
    """One run of the recipe: on all training records, or without a forget set."""

    role: Literal["original", "gold"]


def _identity(workspace: Workspace, training: _Training) -> dict[str, Any]:
    params, forget = training.params, training.forget
    return identity_of(
        training.role,
        code_of(params),
        data=training.data.digest,
        forget=forget.digest if forget else None,
        model=params.model.made_of(),
        train=params.train.model_dump(mode="json"),
        seeds=training.seeds.model_dump(mode="json"),
        lane=lane_of(workspace, params.train) | ranks_of(workspace),
    )


def _train(workspace: Workspace, training: _Training, progress: Progress | None, out: str | None) -> ModelRef:
    params, forget, seeds = training.params, training.forget, training.seeds
    identity = _identity(workspace, training)

    def build(folder: Path, run: dict[str, Any]) -> None:
        store = open_without(workspace, training.data, forget)
        without = forget_keys(workspace, forget) if forget else frozenset()
        refuse_suppressed(workspace, store, without)
        refuse_misfit(arch_of(store, params))
        train = examples(store, "train", without=without)
        model = fresh_model(arch_of(store, params), seeds.init, start_of(workspace, params))
        held = held_records(store, params.train, without)
        ranked = RankedTraining(data=training.data, forget=forget, params=params, seeds=seeds)
        learn = training_engine(workspace, ranked, arch_of(store, params), identity, progress)
        report = learn(model, train, params.train, seeds, held=held)
        keep_statistics(workspace, identity, report)
        save_bundle(folder, model, arch_of(store, params), identity)
        run.update(
            seconds_train=report.seconds_train,
            history=report.history,
            precision=report.precision,
            resumed_at=report.resumed_at,
            best_epoch=report.best_epoch,
            n_records=len(train),
            pictures=path_of(train),
        )

    uri, folder = make(workspace, "model", identity, build, out)
    return ModelRef(uri=uri, digest=digest(folder), weights=weights_digest(folder), role=training.role)


def arch_of(store: RecordStore, params: Params) -> Arch:
    """The architecture of `params` for a store's images and those of its classes that are not retired."""
    if len(store.info.live) < 2:
        raise DataError("The dataset has one class.", "A classifier needs at least two.")
    model = params.model
    return Arch(model.name, tuple(store.info.shape), store.info.live, dict(model.options), **model.constants)
