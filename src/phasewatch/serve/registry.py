"""The registry of producers: every file in producers/ whose name has no leading underscore."""

import importlib
import pkgutil

from phasewatch.serve import producers
from phasewatch.serve.events import Event, Producer


def find() -> dict[str, type[Producer]]:
    """Return the class of every producer by the name of its file."""
    found = (module.name for module in pkgutil.iter_modules(producers.__path__))
    names = sorted(name for name in found if not name.startswith("_"))
    return {
        name: importlib.import_module(f"{producers.__name__}.{name}").Producer for name in names
    }


def kinds() -> dict[str, type[Event]]:
    """Return the class of every kind of event by its name."""
    return {kind.kind: kind for producer in find().values() for kind in producer.kinds}
