"""Apprise: a sentence by mail, chat or telephone; https://github.com/caronc/apprise lists the addresses."""

import json
import logging

from tmu.errors import ConfigError
from tmu.ledger.deliveries import PATIENCE, Message
from tmu.ledger.outbox import LOG_HEAD, OTHERS, STATES
from tmu.notify.sentences import sentence
from tmu.notify.target import ARRIVED, AlwaysOpen, Answer, name_of

FAILED = Answer("apprise", down=True)


class AppriseTarget(AlwaysOpen):
    """One address. Apprise tells no more of a failure than that it failed; its own log may hold the address."""

    events, patience = (STATES | OTHERS) - {LOG_HEAD}, PATIENCE  # a head is of no use in a sentence

    def __init__(self, address: str, number: int) -> None:
        from apprise import Apprise

        logging.getLogger("apprise").setLevel(logging.CRITICAL + 1)
        self.id, self._apprise = name_of(address), Apprise()
        if not self._apprise.add(address):
            raise ConfigError(
                f"Address {number} of `apprise` is none that Apprise knows.",
                "https://github.com/caronc/apprise lists how they are written.",
            )

    def send(self, message: Message, at: int) -> Answer:
        """Notify once."""
        try:
            arrived = self._apprise.notify(body=sentence(json.loads(message.body)), title="tmu")
        except Exception:  # a hundred services, each with its own way to fail
            return FAILED
        return ARRIVED if arrived else FAILED
