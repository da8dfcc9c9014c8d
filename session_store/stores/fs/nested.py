"""Whether a call of the store came out of another one: from a signal's handler, in its middle."""

import inspect

_STORE = __name__.partition(".fs.")[0]


def is_nested() -> bool:
    """
    Return whether this thread is in a call of the store below the one that asks.

    Cost: a walk up the stack.
    """
    frame = inspect.currentframe()
    is_own = True
    while frame is not None:
        module = str(frame.f_globals.get("__name__"))
        if module.startswith(_STORE):
            if not is_own:
                return True
        elif module != "contextlib":  # What a `with` of ours runs through.
            is_own = False
        frame = frame.f_back
    return False
