"""Vectors of lines that are well made and do not belong: wrong links, numbers, parents, bodies."""

from ..chain import Head, compute_hash, link
from ..entries import Position, SessionStart, TurnEnd
from ..values import encode
from .scenario import Expected, Found, Scenario, one, scenario
from .story import CHILD, FIRST_TS, GRANDCHILD, MASKED, ROOT, Story, begun, told


def corrupt(
    about: str, story: Story, *, records: int, seq: int | None = None, **options: bool
) -> Scenario:
    """Return the vector of a log that is corrupt behind its first *records*."""
    found = [("corrupt", records if seq is None else seq)]
    return one(about, story.file, story.data, Expected("corrupt", records, found), **options)


def linked(story: Story, head: Head, *, batch: int = 0, ts: int = FIRST_TS + 60_000) -> Story:
    """Add a record after *head*, wherever that is."""
    draft = story.draft("future", b"{}", ts=ts)
    announced = [draft] * (batch + 1)
    data, _ = link(head, ts, announced)
    story.lines.append(data.splitlines(keepends=True)[0])
    return story


@scenario
def seq_gap() -> Scenario:
    story, head = told(), told().head
    return corrupt("a record that skips a seq", linked(story, head._replace(seq=7)), records=7)


@scenario
def seq_again() -> Scenario:
    story, head = told(), told().head
    return corrupt("a record that repeats a seq", linked(story, head._replace(seq=5)), records=7)


@scenario
def other_prev_hash() -> Scenario:
    story, head = told(), told(seed="other").head
    return corrupt(
        "a record that follows the same entries under other salts", linked(story, head), records=7
    )


@scenario
def ts_decreases() -> Scenario:
    story, head = told(), told().head._replace(ts=0)
    return corrupt(
        "a record older than the one before", linked(story, head, ts=FIRST_TS), records=7
    )


@scenario
def batch_does_not_count_down() -> Scenario:
    story = told()
    linked(story, story.head, batch=2)
    before = story.record(7)
    linked(story, Head(ROOT, 7, before.ts, before.hash), batch=0)
    return corrupt(
        "an append that announces two more and ends with the next", story, records=7, seq=8
    )


@scenario
def batch_4095() -> Scenario:
    story = told()
    about = "the first record of the longest append"
    return one(
        about,
        story.file,
        linked(story, story.head, batch=4095).data,
        Expected("intact", 7, [("torn", 7)]),
    )


@scenario
def batch_4096() -> Scenario:
    return corrupt(
        "an append of too many records", _rewritten(b'"batch":0', b'"batch":4096'), records=7
    )


@scenario
def seq_leading_zero() -> Scenario:
    return corrupt("a number with a leading zero", _rewritten(b'"seq":7', b'"seq":07'), records=7)


@scenario
def ts_17_digits() -> Scenario:
    return corrupt("a number of 17 digits", _rewritten(b'"ts":', b'"ts":1000'), records=7)


@scenario
def ts_too_large() -> Scenario:
    about = "a number beyond 2^53-1"
    return corrupt(about, _rewritten(b'"ts":1764000060000', b'"ts":9007199254740992'), records=7)


@scenario
def kind_upper_case() -> Scenario:
    return corrupt("a kind with a capital", _rewritten(b'"future"', b'"Future"'), records=7)


@scenario
def kind_of_65() -> Scenario:
    return corrupt(
        "a kind that is too long", _rewritten(b'"future"', b'"%b"' % (b"k" * 65)), records=7
    )


@scenario
def space_in_the_head() -> Scenario:
    return corrupt("a blank where none belongs", _rewritten(b',"batch"', b', "batch"'), records=7)


def _rewritten(old: bytes, new: bytes) -> Story:
    """Return a log whose last line was hashed with *new* in its HEAD: only the grammar is wrong."""
    story = told()
    line = linked(story, story.head).lines.pop()
    size = line.index(b',"salt"')
    head = line[:size].replace(old, new, 1)
    trail = b',"hash":"%b"}\n' % compute_hash(ROOT, head).hex().encode()
    story.lines.append(head + line[size:-76] + trail)
    return story


@scenario
def first_kind() -> Scenario:
    story = Story().append(TurnEnd(0))
    return corrupt("a log that does not begin with a session_start", story, records=0)


@scenario
def carriage_return() -> Scenario:
    story = told().append_bodies(("future", b'{"a":\r1}'))
    return corrupt("a CR between the tokens of a body", story, records=7)


@scenario
def body_no_object() -> Scenario:
    story = told().append_bodies(("future", b"[1]"))
    return corrupt("a body that is an array", story, records=7)


NOT_JSON = {
    "words": b"{nonsense}",
    "nan": b'{"a":NaN}',
    "infinite": b'{"a":1e999}',
    "surrogate": b'{"a":"\\ud800"}',
    "not-utf8": b'{"a":"\xff"}',
    "depth": b'{"a":' * 201 + b"0" + b"}" * 201,
    "two": b"{}{}",
}


@scenario
def body_not_json() -> Scenario:
    story = told().append_bodies(*(("future", body) for body in NOT_JSON.values()))
    about = "bodies that do not parse: the chain holds"
    return one(about, story.file, story.data, Expected(records=14))


@scenario
def body_not_json_parsed() -> Scenario:
    bodies = (("future", b"{}"), ("future", NOT_JSON["words"]), ("future", b"{}"))
    story = told().append_bodies(*bodies)
    about = "a body that does not parse, for a reader that needs it"
    return corrupt(about, story, records=7, seq=8, parse=True)


def _not_json(name: str) -> Scenario:
    story = told().append_bodies(("future", NOT_JSON[name]))
    return corrupt(f"a body that does not parse: {name}", story, records=7, parse=True)


@scenario
def body_nan() -> Scenario:
    return _not_json("nan")


@scenario
def body_infinite() -> Scenario:
    return _not_json("infinite")


@scenario
def body_surrogate() -> Scenario:
    return _not_json("surrogate")


@scenario
def body_not_utf8() -> Scenario:
    return _not_json("not-utf8")


@scenario
def body_depth_201() -> Scenario:
    return _not_json("depth")


@scenario
def redaction_not_json() -> Scenario:
    story = told().append_bodies(("future", b"{}"), ("redaction", b"{nonsense}"))
    return corrupt("a redaction that nobody can read", story, records=7, seq=8)


@scenario
def masked_refused() -> Scenario:
    story = told().mask(2, MASKED)
    return corrupt("a masked record where none is allowed", story, records=1, seq=2)


@scenario
def mask_wrong() -> Scenario:
    story = told().mask(2, MASKED)
    story.lines[2] = story.lines[2].replace(b"***", b"**+")
    return corrupt("a masked body that was damaged", story, records=1, seq=2, allow_masked=True)


@scenario
def renamed() -> Scenario:
    about = "a log under another session's name"
    return one(about, f"{CHILD}.jsonl", told().data, Expected("corrupt", 0, [("corrupt", 0)]))


def _family(about: str, parent: Story | None, child: Story, found: Found) -> Scenario:
    """Return the vector of a *child*, its own records whole, with its parent beside it or not."""
    logs = {child.file: child.data} | ({} if parent is None else {parent.file: parent.data})
    return Scenario(about, logs, {child.file: Expected(found[0], len(child.lines), [found])})


@scenario
def parent_missing() -> Scenario:
    return _family("the parent is not there", None, told().fork(4), ("parent-missing", 0))


@scenario
def parent_changed() -> Scenario:
    parent = told()
    child = parent.fork(4)
    parent.lines[2] = parent.lines[2].replace(b"2 + 3", b"2 + 4")
    return _family("a body of the parent was changed", parent, child, ("corrupt", 2, parent.file))


@scenario
def parent_other() -> Scenario:
    about = "the parent is another log under the same id"
    return _family(about, told(seed="other"), told().fork(4), ("corrupt", 0))


@scenario
def parent_short() -> Scenario:
    parent, child = told(), told().fork(5)
    del parent.lines[5:]
    return _family("the parent was cut before the entry", parent, child, ("corrupt", 0))


@scenario
def parent_torn() -> Scenario:
    parent, child = told(), told().fork(3)
    del parent.lines[4:]
    return _family(
        "the entry lies in an unfinished append of the parent", parent, child, ("corrupt", 0)
    )


@scenario
def parent_unborn() -> Scenario:
    parent, child = told(), told().fork(0)
    parent.lines = [parent.lines[0][:-5]]
    return _family("the parent was never born", parent, child, ("parent-missing", 0))


@scenario
def parent_unsupported() -> Scenario:
    parent, child = told(), told().fork(0)
    parent.lines = [b'{"v":2}\n']
    return _family(
        "the parent is of another version", parent, child, ("unsupported", 0, parent.file)
    )


@scenario
def parent_missing_lf() -> Scenario:
    parent = told()
    child = parent.fork(6)
    parent.lines[6] = parent.lines[6][:-1] + b"?"
    logs = {parent.file: parent.data, child.file: child.data}
    found = [("missing-lf", 6, parent.file)]
    about = "the parent's last record, at which the log was forked, misses its LF"
    return Scenario(about, logs, {child.file: Expected(records=1, findings=found)})


@scenario
def grandparent_changed() -> Scenario:
    parent = told()
    child = parent.fork(4)
    grandchild = child.fork(0, GRANDCHILD)
    parent.lines[0] = parent.lines[0].replace(b"brief", b"Brief")
    logs = {s.file: s.data for s in (parent, child, grandchild)}
    found = [("corrupt", 0, parent.file)]
    expected = {
        grandchild.file: Expected("corrupt", 1, found),
        child.file: Expected("corrupt", 1, found),
    }
    return Scenario("damage two generations above", logs, expected)


@scenario
def own_parent() -> Scenario:
    itself = Position(CHILD, 0, told().record(0).hash)
    child = Story(CHILD, itself).append(SessionStart(CHILD, forked_from=itself.to_json()))
    return _family("a log that continues itself", None, child, ("corrupt", 0))


@scenario
def parents_in_a_ring() -> Scenario:
    some = Position(GRANDCHILD, 0, told().record(0).hash)
    child = Story(CHILD, some).append(SessionStart(CHILD, forked_from=some.to_json()))
    return _family(
        "two logs that continue each other", child, child.fork(0, GRANDCHILD), ("corrupt", 0)
    )


@scenario
def fork_of_nobody() -> Scenario:
    parent = told().position(4)
    child = Story(CHILD, parent).append(SessionStart(CHILD))
    return corrupt("a fork that does not say of whom", child, records=0)


@scenario
def fork_of_somebody_else() -> Scenario:
    start = SessionStart(CHILD, forked_from=told().position(3).to_json())
    child = Story(CHILD, told().position(4)).append(start)
    return corrupt("a fork linked to another entry than it names", child, records=0)


@scenario
def erased_start_untold() -> Scenario:
    child = told().fork(4).redact(0).erase(0)
    return corrupt("a fork's session_start erased, its parent lost", child, records=0)


@scenario
def erased_start_told_wrong() -> Scenario:
    parent = told()
    child = parent.fork(4)
    kept = [{"format": 1, "forked_from": parent.position(n).to_json()} for n in (4, 3)]
    for replacement in kept:
        child.redact(0, replacements={"0": replacement})
    return corrupt("… and the last replacement names another entry", child.erase(0), records=0)


@scenario
def forked_from_malformed() -> Scenario:
    told_so = told().position(4).to_json() | {"seq": 4.0}
    body = encode({"format": 1, "session_id": CHILD, "forked_from": told_so})
    child = Story(CHILD, told().position(4)).append_bodies(("session_start", body))
    return corrupt("a forked_from whose seq is no integer", child, records=0)


@scenario
def begun_only_torn() -> Scenario:
    story = begun()
    data = story.data[:-1] + b"xx"
    return one(
        "a first line and two bytes more", story.file, data, Expected("unborn", 0, [("unborn", 0)])
    )
