"""What the library has to say of a store, as one line of this program."""

import logging

from .failures import complain


class _Warnings(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        complain(record.levelname.lower(), record.getMessage())


def print_warnings() -> None:
    """From now on print the library's warnings on standard error."""
    logging.getLogger("session_store").addHandler(_Warnings(logging.WARNING))
