"""Vectors of logs that hold, and of what is withheld in them."""

from ..entries import (
    AssistantItems,
    ConfigChanged,
    Extension,
    HistoryContinued,
    HookInjectedItems,
    LabelsChanged,
    LlmUsage,
    Recovery,
    Redaction,
    RunCompleted,
    RunErrored,
    RunStarted,
    Seal,
    SessionStart,
    ToolResults,
    TurnEnd,
    UnknownEntry,
    UserInput,
)
from ..ids import SessionId
from ..values import encode
from .scenario import Expected, Scenario, good, one, scenario
from .story import CHILD, FIRST_TS, GRANDCHILD, MASKED, ROOT, Story, begun, said, told

DIGEST = "ab" * 32


@scenario
def root() -> Scenario:
    return good("a root of seven records in five appends", told())


@scenario
def one_record() -> Scenario:
    return good("a root that was only begun", begun())


@scenario
def all_kinds() -> Scenario:
    story = begun().append(RunStarted("user_send")).append(UserInput([said("user", "hello")]))
    story.append(AssistantItems([said("assistant", "hi")]), LlmUsage(1, 10, 4, 2, 3, "m-1"))
    story.append(ToolResults([{"type": "function_call_output", "call_id": "x", "output": ""}]))
    story.append(HookInjectedItems([said("system", "the time is 12:00")]))
    story.append(ConfigChanged({"model": "m-2"})).append(Extension("notes", [1, None, {"a": 0.5}]))
    story.append(TurnEnd(1, {"length": 0, "blake3": DIGEST}), RunCompleted("finished"))
    story.append(RunErrored("lost the connection", interrupted=True))
    story.append(LabelsChanged({"team": "blue", "old": None})).append(Seal("a note"))
    story.append(Recovery("torn tail", 10, 20, DIGEST, "quarantine/x"))
    story.append(Redaction([], "nothing", by="somebody"))
    return good("every kind of docs/FORMAT.md §7 but history_continued", story)


@scenario
def history_continued() -> Scenario:
    start = SessionStart(ROOT, history=[said("user", "one")])
    rest = HistoryContinued([said("assistant", "two")]), HistoryContinued([said("user", "three")])
    return good("a first history in three records of one append", Story().append(start, *rest))


@scenario
def unknown_kind() -> Scenario:
    entries = (UnknownEntry(kind, {"x": 1}) for kind in ("future", "a", "z9_.-" + "k" * 59))
    return good(
        "kinds that no version knows, the longest allowed among them", told().append(*entries)
    )


@scenario
def unknown_fields() -> Scenario:
    story = begun().append_bodies(("turn_end", b'{"turn_count":1,"mood":{"$new":[]}}'))
    return good("a known kind with a field of the future", story)


@scenario
def empty_body() -> Scenario:
    return good("an object without keys", begun().append_bodies(("future", b"{}")))


@scenario
def wrapped_values() -> Scenario:
    payload = {
        "floats": [float("nan"), float("inf"), float("-inf"), -0.0],
        "ints": [2**64 - 1, 2**64, -(2**63), -(2**63) - 1],
        "bytes": b"\0\1\2",
        "surrogates": "\ud800 and \udfff",
        "keys": {1: "int", None: "null", ("a", 2): "tuple", b"k": "bytes", "\udc80": "text"},
        "own": {"$ss": ["float", "nan"]},
        "beside": {"$ss": 1, "other": 2},
    }
    story = begun().append(Extension("values", payload))
    stands = (
        b'{"domain":"as it stands","payload":[{"$ss":["float","1"]},{"$ss":[[],1]},{"$ss":{}}]}'
    )
    return good(
        "values that JSON cannot carry, and what only looks like them",
        story.append_bodies(("extension", stands)),
    )


@scenario
def text() -> Scenario:
    spoken = 'naïve — 日本語 🙂 \u2028\u2029\u0085 \x00\x01\x1f\x7f " \\ / \t\r\n'
    return good(
        "text that line splitters and terminals trip over",
        begun().append(UserInput([said("user", spoken)])),
    )


@scenario
def spacing() -> Scenario:
    body = b'{ "a" : [ 1 , 2 ] ,\t"b":1.50e+01,"\\u0061\\/":"\\u00e9" }'
    return good(
        "a body that our own writer would spell otherwise", begun().append_bodies(("future", body))
    )


@scenario
def equal_ts() -> Scenario:
    story = begun()
    for _ in range(3):
        story.append_bodies(("future", b"{}"), ts=FIRST_TS)
    return good("a clock that stood still", story)


@scenario
def largest_numbers() -> Scenario:
    story = begun().append_bodies(("future", b"{}"), ts=2**53 - 1)
    return good("the last millisecond that a log can carry", story.append_bodies(("future", b"{}")))


@scenario
def depth_200() -> Scenario:
    body = b'{"a":' * 200 + b"0" + b"}" * 200
    story = begun().append_bodies(("future", body))
    return good("a body nested as deeply as the format allows", story, parse=True)


@scenario
def name_given_twice() -> Scenario:
    story = begun().append_bodies(("turn_end", b'{"turn_count":1,"turn_count":2}'))
    return good("a name given twice: the last one counts", story, parse=True)


@scenario
def fork() -> Scenario:
    parent = told()
    return good("a fork by reference", parent, parent.fork(4).append(TurnEnd(1)))


@scenario
def fork_inside_an_append() -> Scenario:
    parent = told()
    return good("a fork at a record that is not the last of its append", parent, parent.fork(1))


@scenario
def fork_of_a_fork() -> Scenario:
    parent = told()
    child = parent.fork(2).append(TurnEnd(1)).append(RunStarted("retry"))
    return good("three generations", parent, child, child.fork(1, GRANDCHILD))


@scenario
def fork_that_overrides() -> Scenario:
    parent = told()
    start = SessionStart(
        CHILD,
        system_prompt="Be long.",
        config={"model": "m-2"},
        history=[],
        forked_from=parent.position(3).to_json(),
        labels={"try": "2"},
    )
    child = Story(CHILD, parent.position(3)).append(start)
    return good("a fork with a prompt, a config and a history of its own", parent, child)


@scenario
def deep_lineage() -> Scenario:
    stories = [begun()]
    for n in range(1, 13):
        child = SessionId(f"019ab3d8-7000-7a11-8b22-{n:012x}")
        stories.append(stories[-1].fork(len(stories[-1].lines) - 1, child))
    return good("thirteen generations of one record each", *stories)


@scenario
def damage_behind_the_fork() -> Scenario:
    parent = told()
    child = parent.fork(2)
    parent.lines[5] = parent.lines[5].replace(b"1764", b"1765", 1)
    logs = {parent.file: parent.data, child.file: child.data}
    damaged = Expected("corrupt", 5, [("corrupt", 5)])
    about = "damage of the parent behind the entry that the fork stands on"
    return Scenario(about, logs, {parent.file: damaged, child.file: Expected(records=1)})


@scenario
def copy() -> Scenario:
    source = told()
    start = SessionStart(CHILD, history=[], forked_from=source.position(2).to_json())
    story = Story(CHILD).append(start).append(RunStarted("user_send"))
    return one(
        "a copy: forked_from is information only", story.file, story.data, Expected(records=2)
    )


@scenario
def compacted() -> Scenario:
    source = told()
    short = [said("user", "a summary")]
    start = SessionStart(CHILD, history=short, compacted_from=source.position(6).to_json())
    return good("a session with a shortened history of another", Story(CHILD).append(start))


@scenario
def erased() -> Scenario:
    story = told().redact(2, 4).erase(2).erase(4)
    return good("bodies erased legally", story, findings=[("erased", 2), ("erased", 4)])


@scenario
def erased_behind_the_fork_point() -> Scenario:
    parent = told()
    child = parent.fork(3)
    parent.redact(2).erase(2)
    found = [("erased", 2, parent.file)]
    logs = {parent.file: parent.data, child.file: child.data}
    expected = {
        parent.file: Expected(records=8, findings=[("erased", 2)]),
        child.file: Expected(records=1, findings=found),
    }
    return Scenario("a redaction that stands behind the fork's prefix", logs, expected)


@scenario
def erased_start() -> Scenario:
    parent = told()
    child = parent.fork(4).append(TurnEnd(1))
    kept = {"format": 1, "session_id": CHILD, "forked_from": parent.position(4).to_json()}
    child.redact(0).redact(0, replacements={"0": kept}).redact(0).erase(0)
    found = [("erased", 0)]
    return good(
        "a fork's session_start erased: the last replacement tells its parent",
        parent,
        child,
        findings=found,
    )


@scenario
def erased_start_of_a_root() -> Scenario:
    story = told().redact(0).erase(0)
    return good(
        "a root's session_start erased without a replacement", story, findings=[("erased", 0)]
    )


@scenario
def masked() -> Scenario:
    story = told().mask(2, MASKED).mask(0, b'{"format":1,"session_id":"%b"}' % ROOT.encode())
    found = [("masked", 0), ("masked", 2)]
    return good(
        "a masked copy, where masked records are allowed", story, findings=found, allow_masked=True
    )


@scenario
def erased_without_redaction() -> Scenario:
    found = [("erased-without-redaction", 2)]
    return good("a body blanked by somebody who left no redaction", told().erase(2), findings=found)


@scenario
def erasure_unfinished() -> Scenario:
    return good(
        "a redaction whose target still has its body",
        told().redact(2),
        findings=[("erasure-unfinished", 2)],
    )


@scenario
def erasure_unfinished_masked() -> Scenario:
    story = told().redact(2).mask(2, MASKED)
    found = [("erasure-unfinished", 2)]
    return good("a record both masked and named", story, findings=found, allow_masked=True)


@scenario
def redaction_erased() -> Scenario:
    story = told().redact(2).erase(2).redact(7).erase(7)
    found = [("erased-without-redaction", 2), ("erased", 7)]
    return good("an erased redaction names nothing", story, findings=found)


@scenario
def redaction_names_nothing() -> Scenario:
    story = told()
    wrong = [
        {"seq": 2, "digest": DIGEST},
        {"seq": "2", "digest": story.target(2)["digest"]},
        {"seq": 2.0, "digest": story.target(2)["digest"]},
        {"seq": 2, "digest": str(story.target(2)["digest"]).upper()},
        {"seq": 99, "digest": DIGEST},
        "2",
    ]
    story.append_bodies(("redaction", encode({"targets": wrong, "reason": "x"}))).erase(2)
    found = [("erased-without-redaction", 2)]
    return good(
        "targets that are none: wrong digest, wrong types, later records", story, findings=found
    )
