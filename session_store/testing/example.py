"""The worked example of docs/FORMAT.md §9."""

from ..chain import Record, root_head
from ..entries import SessionStart, TurnEnd, UserInput
from .story import ROOT, Story, said

BEGIN = "<!-- example: made by `make vectors`; a test holds it against the code -->"
END = "<!-- end of example -->"


def example() -> str:
    """Return the example as Markdown: the lines, and where each value in them comes from."""
    story = Story().append(SessionStart(ROOT, history=[]))
    story.append(UserInput([said("user", "hi")]), TurnEnd(1))
    about = f"Session `{ROOT}`: an append of one record, then one of two. Lines are broken here."
    return "\n".join([about + "\n", *(_block(story, seq) for seq in range(3))])


def _block(story: Story, seq: int) -> str:
    record = story.record(seq)
    line = story.lines[seq].decode().removesuffix("\n")
    head, rest = line[: record.head_size], line[record.head_size :]
    body, trail = rest[:-75], rest[-75:]
    parts = [*_broken(head), body, trail]
    notes = [*_notes(record, story)]
    return "".join(
        (
            f"```text\n{chr(10).join(parts)}\n```\n\n",
            *(f"* {note}\n" for note in notes),
        )
    )


def _broken(head: str) -> list[str]:
    """Break a HEAD before its two hashes."""
    first, digest = head[: head.index(',"prev_hash"')], head[head.index(',"digest"') :]
    return [first, head[len(first) : -len(digest)], digest]


def _notes(record: Record, story: Story) -> list[str]:
    head, line = record.head_size, story.lines[record.seq]
    start = sum(map(len, story.lines[: record.seq]))
    object_size, salt = len(record.body or b""), record.salt or b""
    if record.seq == 0:
        genesis = root_head(ROOT).hash.hex()
        prev = f'`prev_hash` = H(K("genesis"), `{ROOT.replace("-", "")}`) = `{genesis[:16]}…`'
    else:
        prev = f"`prev_hash` is the `hash` of seq {record.seq - 1}"
    sizes = f"HEAD {head}, BODY {len(line) - 76 - head}, TRAIL 75, LF 1"
    return [
        f"bytes {start} to {start + len(line) - 1}: {sizes}",
        prev,
        f'`digest` = H(K("body"), `{salt.decode()}` ‖ the object, {object_size} bytes)',
        '`hash` = H(K("record"), sid ‖ HEAD), HEAD from `{"v"` to the quote that ends `digest`',
        _BATCH[record.seq],
    ]


_BATCH = (
    "`batch` is 0: an append of one record, which counts once its LF is there",
    "`batch` is 1: one more record of this append follows; alone this line counts for nothing",
    "`batch` is 0: the append is complete",
)
