"""Which broker a URL means. A second one is a class with the methods of `Broker`, its scheme, and a case here."""

from .broker import Broker, BrokerSettings
from .jetstream import NatsBroker


def broker_for(settings: BrokerSettings) -> Broker:
    """Return the broker behind the settings' URL; it connects when it is first used."""
    match settings.scheme:
        case "nats" | "tls":
            return NatsBroker(settings)
