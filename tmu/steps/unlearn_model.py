"""Unlearn: from a model and a forget set to a model that behaves as if it had never seen it."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tmu.config import Config, Params, Seeds, UnlearnConfig
from tmu.deletion.plan import RETRAIN
from tmu.errors import ConfigError
from tmu.manifest import digest
from tmu.models.bundle import Arch, save_bundle
from tmu.models.bundle_files import weights_digest
from tmu.models.registry import module_of
from tmu.refs import ModelRef
from tmu.steps.cases import UnlearnCase
from tmu.steps.check_shift import check_shift, learns_from_holdout, refuse_shift
from tmu.steps.exact_problem import exact_problem
from tmu.steps.fit_twin import load_twin
from tmu.steps.held_records import held_records
from tmu.steps.lessons import referring_problem
from tmu.steps.loading import (
    engine,
    examples,
    forget_keys,
    fresh_model,
    load_model,
    open_store,
    open_without,
    path_of,
    retired_with,
)
from tmu.steps.making import identity_of, lane_of, make
from tmu.steps.ridge_statistics import keep_statistics
from tmu.steps.starts import start_of
from tmu.steps.suppress import refuse_suppressed
from tmu.steps.train_ranks import RankedTraining, ranks_of, training_engine
from tmu.train import Fit
from tmu.train.engine import Progress
from tmu.train.lane import pick_device
from tmu.twin.features import feature_modules
from tmu.unlearn import (
    get_method,
    method_module,
    needs_references,
    needs_statistics,
    read_options,
    refuse_other_head,
)
from tmu.workspace import Workspace

if TYPE_CHECKING:
    from tmu.unlearn.problem import Problem

CONTROL = UnlearnConfig(method="tmu", options={"selection": "random"})  # "right fraction, random choice"


def code_of(params: Params) -> tuple[str, ...]:
    """The modules whose closure is the code of this step with the configured method."""
    found_by_name = (method_module(params.unlearn.method), module_of(params.model.name))
    return (__name__, *found_by_name, *feature_modules(params.twin.features))


def unlearn_model(
    workspace: Workspace, case: UnlearnCase, *, progress: Progress | None = None, out: str | None = None
) -> ModelRef:
    """Run the case's method on its forget set.

    Raises ConfigError for an unknown method or option and for one that is not for the model's kind of head, GateError
    where a method that learns from the hold-out is asked for a forget set that is not distributed like it.
    """
    params = case.params
    method, options = get_method(params.unlearn.method), read_options(params.unlearn.method, params.unlearn.options)
    refuse_other_head(params.unlearn.method, params)
    _refuse_without_lessons(case)
    identity = _identity(workspace, case, options)

    def build(folder: Path, run: dict[str, Any]) -> None:
        problem, arch, notes = problem_of(workspace, case, identity, progress)
        notes |= _guarded(workspace, case, problem, arch)
        outcome = method.unlearn(problem, options)
        keep_statistics(workspace, identity, outcome.fit)
        save_bundle(folder, outcome.model, arch, identity)
        run.update(
            seconds_train=outcome.fit.seconds_train,
            history=outcome.fit.history,
            notes=outcome.notes | notes,
            n_forget=len(problem.forget),
            n_retain=len(problem.retain),
            pictures=path_of(problem.retain),
        )

    uri, folder = make(workspace, "model", identity, build, out)
    return ModelRef(uri=uri, digest=digest(folder), weights=weights_digest(folder), role="unlearned")


def _refuse_without_lessons(case: UnlearnCase) -> None:
    """Raise ConfigError where the method's twin or references are not there."""
    name = case.params.unlearn.method
    if get_method(name).NEEDS_TWIN and case.twin is None:
        raise ConfigError(f"Method `{name}` needs a twin.", "Run `tmu twin fit` first.")
    if needs_references(name) and (case.twin is None or case.references is None):
        raise ConfigError(
            f"Method `{name}` needs references and the twin fitted on them.",
            "Run `tmu references fit`, then `tmu twin fit --references REF`.",
        )


def _identity(workspace: Workspace, case: UnlearnCase, options: Config) -> dict[str, Any]:
    """All that determines the unlearned model."""
    params, name = case.params, case.params.unlearn.method
    referring = needs_references(name)
    return identity_of(
        "unlearned",
        code_of(params),
        data=case.data.digest,
        forget=case.forget.digest,
        original=case.original.weights,
        twin=case.twin.digest if get_method(name).NEEDS_TWIN or referring else None,
        **({"references": case.references.digest} if referring else {}),
        **({"statistics": case.statistics.digest} if case.statistics else {}),
        method=name.replace("_", "-"),
        options=options.model_dump(mode="json"),
        recipe=params.train.model_dump(mode="json"),
        **_start(params),
        seeds=Seeds.all(params.seed).model_dump(mode="json"),
        lane=lane_of(workspace, params.train) | (ranks_of(workspace) if name == RETRAIN else {}),
    )


def _start(params: Params) -> dict[str, Any]:
    """What fresh networks begin with, where it is not random weights; identities of those stay as they were."""
    return {"start": params.model.init_sha256} if params.model.started else {}


def _guarded(workspace: Workspace, case: UnlearnCase, problem: "Problem", arch: Arch) -> dict[str, Any]:
    """The shift test's report for the run record, where the method learns from the hold-out.

    The control is never refused: it does not go into service.
    """
    if not learns_from_holdout(case.params.unlearn.method):
        return {}
    holdout = problem.holdout
    if holdout is None:
        keys = forget_keys(workspace, case.forget)
        holdout = examples(open_store(workspace, case.data), "holdout", without=keys)
    report = check_shift(problem, holdout, arch.classes)
    if case.params.unlearn != CONTROL:
        refuse_shift(report)
    return {"shift": report.as_json()}


def problem_of(
    workspace: Workspace, case: UnlearnCase, identity: dict[str, Any], progress: Progress | None
) -> tuple["Problem", Arch, dict[str, Any]]:
    """What the method gets: model, sets, engine, and twin or hold-out where it asks for them; notes for the report.

    Raises DataError where a picture that was erased before is among the records that stay.
    """
    from tmu.unlearn.problem import Problem

    if needs_references(case.params.unlearn.method):
        return *referring_problem(workspace, case, engine(workspace, identity, progress)), {}
    if needs_statistics(case.params.unlearn.method):
        return exact_problem(workspace, case, engine(workspace, identity, progress))
    method, seeds = get_method(case.params.unlearn.method), Seeds.all(case.params.seed)
    store, keys = open_without(workspace, case.data, case.forget), forget_keys(workspace, case.forget)
    model, arch = load_model(workspace, case.original)
    if retired_with(workspace, case.forget):
        arch = _without_outputs(arch, store.info.live, case.params)
    refuse_suppressed(workspace, store, keys)
    fit = _engine(workspace, case, arch, identity, progress)
    if case.params.unlearn.method == RETRAIN:
        fit = partial(fit, held=held_records(store, case.params.train, keys))  # as a gold is trained
    problem = Problem(
        model=model,
        forget=examples(store, "train", only=keys),
        retain=examples(store, "train", without=keys),
        classes=len(arch.classes),
        recipe=case.params.train,
        seeds=seeds,
        fit=fit,
        fresh=lambda: fresh_model(arch, seeds.init, start_of(workspace, case.params)),
        twin=load_twin(workspace, case.twin) if method.NEEDS_TWIN else None,
        holdout=examples(store, "holdout", without=keys) if method.NEEDS_HOLDOUT else None,
        device=pick_device(workspace.settings.device),
    )
    return problem, arch, {}


def _engine(
    workspace: Workspace, case: UnlearnCase, arch: Arch, identity: dict[str, Any], progress: Progress | None
) -> Callable[..., Fit]:
    """Exact retraining trains as the original was; all other methods train in this process."""
    if case.params.unlearn.method != RETRAIN:
        return engine(workspace, identity, progress)
    training = RankedTraining(data=case.data, forget=case.forget, params=case.params, seeds=Seeds.all(case.params.seed))
    return training_engine(workspace, training, arch, identity, progress)


def _without_outputs(arch: Arch, live: tuple[str, ...], params: Params) -> Arch:
    """The architecture with the outputs of these classes alone, for a network that is trained anew."""
    if params.unlearn.method != RETRAIN:
        raise ConfigError(
            f"`{params.unlearn.method}` cannot remove an output, and a class goes as a whole.",
            "Use `--method retrain`.",
        )
    return replace(arch, classes=live)
