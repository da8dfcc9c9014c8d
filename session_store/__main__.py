"""`python -m session_store` and the `session-store` script."""

import sys

from .errors import MissingExtra


def main() -> None:
    """Run the command line."""
    try:
        import click  # noqa: F401, PLC0415 - an extra: the library works without it
    except ImportError:
        missing = MissingExtra("the command line", "cli")
        sys.stderr.write(f"session-store: error: {missing}\n")
        sys.exit(3)
    from .cli import run  # noqa: PLC0415 - after the check above

    run()


if __name__ == "__main__":
    main()
