"""Send what waits in the outbox to everybody whom the settings name, each message at least once.

Several senders may run at once: each claims what it sends. What one that dies has claimed is free again after ten
minutes.
"""

from collections import Counter
from collections.abc import Sequence

from tmu.errors import ConfigError
from tmu.ledger import deliveries
from tmu.ledger.actor import Actor
from tmu.ledger.deliveries import Message
from tmu.ledger.store import Ledger
from tmu.notify.apprise_target import AppriseTarget
from tmu.notify.target import Answer, Target
from tmu.notify.webhook import Webhook, check_url
from tmu.settings import Settings

SENDER = Actor("notify", "system")
STRIKES = 3
"""Failures of a target, one after another, after which this round leaves it alone."""


def deliver(ledger: Ledger, settings: Settings, also: Sequence[Target] = ()) -> dict[str, int]:
    """Try everything that is due. Returns counts: `delivered`, `failed`, `given_up` now, and what is still `waiting`.

    also: targets beside those of the settings. Raises ConfigError for an address or secret that cannot be used, before
    anything is sent.
    """
    return deliver_to(ledger, [*targets_of(settings), *also])


def deliver_to(ledger: Ledger, targets: Sequence[Target]) -> dict[str, int]:
    """The same to these targets, who are all that there are."""
    names = [target.id for target in targets]
    with ledger.write(SENDER) as tx:
        deliveries.fan_out(tx, names, {each.id: each.events for each in targets if each.events is not None})
        deliveries.prune(tx, names)
    counts = Counter(delivered=0, failed=0, given_up=0, waiting=0)
    for target in targets:
        with target:
            counts.update(_serve(ledger, target))
        counts["waiting"] += deliveries.summary(ledger, target.id)["waiting"]
    return dict(counts)


def targets_of(settings: Settings) -> list[Target]:
    """Whom the settings name, each once. Raises ConfigError."""
    targets: dict[str, Target] = {}
    if settings.webhooks and settings.webhook_secret is None:
        raise ConfigError(
            "`webhooks` are set, but no `webhook_secret`.",
            "Set one of at least 16 random characters, and give it to the receivers: unsigned messages are not sent.",
        )
    for number, url in enumerate(settings.webhooks, 1):
        check_url(url, number, settings.webhooks_plain_http)
        target: Target = Webhook(url, settings.webhook_secret.get_secret_value().encode())
        targets[target.id] = target
    for number, address in enumerate(settings.apprise, 1):
        target = AppriseTarget(address.get_secret_value(), number)
        targets[target.id] = target
    return list(targets.values())


def _serve(ledger: Ledger, target: Target) -> Counter[str]:
    """Send one target all that is due, claim by claim, until nothing is left or it does not answer."""
    counts: Counter[str] = Counter()
    while True:
        with ledger.write(SENDER) as tx:
            claimed, messages = deliveries.claim(tx, target.id)
        if not messages:
            return counts
        answers, struck_out = _try_each(ledger, target, messages)
        counts.update(_note(ledger, target, claimed, answers, struck_out))
        if struck_out:
            return counts


def _try_each(ledger: Ledger, target: Target, messages: Sequence[Message]) -> tuple[dict[int, Answer], str | None]:
    """The answers by message; and the kind of the last failure, where there were STRIKES of them in a row."""
    answers, strikes = {}, 0
    for message in messages:
        answer = target.send(message, int(ledger.now().timestamp()))
        answers[message.seq] = answer
        strikes = strikes + 1 if answer.down else 0
        if strikes == STRIKES:
            return answers, answer.error
    return answers, None


def _note(
    ledger: Ledger, target: Target, claimed: str, answers: dict[int, Answer], struck_out: str | None
) -> Counter[str]:
    id_, patience = target.id, target.patience
    arrived = [seq for seq, answer in answers.items() if answer.error is None]
    later, never = ({s: a.error for s, a in answers.items() if a.error and a.final is final} for final in (False, True))
    with ledger.write(SENDER) as tx:
        deliveries.delivered(tx, id_, arrived)
        given_up = deliveries.failed(tx, id_, claimed, never, final=True)
        given_up += deliveries.failed(tx, id_, claimed, later, patience=patience)
        if struck_out:
            given_up += deliveries.down(tx, id_, claimed, struck_out, patience=patience)
    return Counter(delivered=len(arrived), failed=len(later) + len(never), given_up=given_up)
