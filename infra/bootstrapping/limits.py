"""Global concurrency limits. Tasks ask for them strictly: without them they fail instead of running all at once."""

from collections.abc import Iterator

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.actions import GlobalConcurrencyLimitCreate, GlobalConcurrencyLimitUpdate
from prefect.exceptions import ObjectNotFound

from infra.bootstrapping.plan import Change, Plan
from tasks.slots import DVC_WRITER, GPU


def limits(client: SyncPrefectClient, plan: Plan, *, apply: bool) -> Iterator[Change]:
    """`gpu`: one a GPU; `dvc-writer`: one. Slots that are held are left alone."""
    for name, limit in {GPU: plan.gpus, DVC_WRITER: 1}.items():
        wanted = {"limit": limit, "active": True, "slot_decay_per_second": 0.0}
        try:
            found = client.read_global_concurrency_limit_by_name(name)
        except ObjectNotFound:
            if apply:
                client.create_global_concurrency_limit(GlobalConcurrencyLimitCreate(name=name, **wanted))
            yield Change("limit", name, "made")
            continue
        differs = [key for key, value in wanted.items() if getattr(found, key) != value]
        if differs and apply:
            client.update_global_concurrency_limit(name, GlobalConcurrencyLimitUpdate(**wanted))
        yield Change("limit", name, "changed" if differs else "kept", ", ".join(differs))
