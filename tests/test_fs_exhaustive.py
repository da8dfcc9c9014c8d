"""Every truncation and every flipped bit of a small log; `make crash` does it for 1,000 entries."""

from crash.exhaustive import (
    Counts,
    GoodLog,
    StoredLog,
    as_readers_see,
    flip,
    flips,
    good_log,
    truncations,
)

ENTRIES = 12
"""Appends of one, two and three records, and a seq of two digits."""


def small() -> GoodLog:
    return good_log(ENTRIES, seed=1)


def test_a_log_cut_at_any_byte_is_judged_right() -> None:
    """Clean, torn or without its line end, and never corrupt; head and records to match."""
    log = small()
    counts = truncations(log, range(len(log.data) + 1), sample=1)
    print(counts)
    assert Counts(len(log.data) + 1, len(log.data) + 1) == counts


def test_any_flipped_bit_is_found_at_its_line() -> None:
    """Corrupt, with the line that it is in; only the last line end may be mended."""
    log = small()
    bits = range(8 * len(log.data))
    counts = flips(log, bits, sample=11)
    print(counts)
    assert Counts(len(bits), len(range(0, len(bits), 11))) == counts


def test_any_flipped_bit_of_the_last_append_is_found_by_the_store() -> None:
    """All of them through the store's own reader, the tail being where verdicts differ."""
    log = small()
    stored = StoredLog(log)
    begin = log.lines[log.ends[-2] + 1]
    for bit in range(8 * begin, 8 * len(log.data)):
        expected = as_readers_see(log.after_flip(bit // 8))
        assert expected == stored.read(flip(log.data, bit)), f"bit {bit}"
