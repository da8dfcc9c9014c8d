"""The limits of docs/FORMAT.md §8: breaking one is a `LimitExceeded`, and nothing is written."""

LINE_BYTES_MAX = 16 * 1024 * 1024
"""One line, LF included."""

BATCH_MAX = 4_095
"""Records of one append that may still follow its first."""

APPEND_BYTES_MAX = 64 * 1024 * 1024
"""All lines of one append."""

DEPTH_MAX = 200
"""Nesting of a body, the body itself counting as 1."""

KEYS_MAX = 10_000
"""Keys of one object."""
