"""The SQL of the history, by subject: functions of a connection, for the store's thread.

A subject is loaded when it is first asked for, as `sql.turns`: none is needed before a file is open, and `palaver ask`
without a session opens none.
"""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tui.store.sql import agent_items as agent_items
    from tui.store.sql import branches as branches
    from tui.store.sql import conversations as conversations
    from tui.store.sql import imports as imports
    from tui.store.sql import items as items
    from tui.store.sql import leases as leases
    from tui.store.sql import messages as messages
    from tui.store.sql import names as names
    from tui.store.sql import pictures as pictures
    from tui.store.sql import queues as queues
    from tui.store.sql import recovery as recovery
    from tui.store.sql import said as said
    from tui.store.sql import saving as saving
    from tui.store.sql import sending as sending
    from tui.store.sql import sessions as sessions
    from tui.store.sql import turns as turns
    from tui.store.sql import words as words

_SUBJECTS = frozenset(
    "agent_items branches conversations imports items leases messages names pictures queues recovery "
    "said saving sending sessions turns words".split()
)


def __getattr__(name: str) -> ModuleType:
    if name not in _SUBJECTS:
        raise AttributeError(f"there is no {name} in {__name__}")
    return import_module(f"{__name__}.{name}")
