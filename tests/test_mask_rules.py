"""Rules of a team's own: TOML, what is refused, and where windows end."""

import pytest
from mask_tools import RULES, alnum, masked_text

from session_store import InvalidInput
from session_store.redaction import custom_rule, load_rules
from session_store.redaction.rules import Rules

TEAM = """
title = "team"
[allowlist]
regexes = ['''^acme_test''']
stopwords = ["Harmless"]

[[rules]]
id = "Acme-Token"
description = "ours"
regex = '''(?i)acme:\\s*(acme_[a-z0-9_]{6,30})(?:\\s|\\z)'''
secretGroup = 1
keywords = ["ACME"]
entropy = 2.5
[[rules.allowlists]]
stopwords = ["sample"]
[[rules.allowlists]]
regexTarget = "line"
regexes = ['''# ok$''', '''^skip''']
[[rules.allowlists]]
condition = "AND"
paths = ['''\\.lock$''']
regexes = ['''.*''']

[[rules]]
id = "file-names"
path = '''\\.p12$'''
"""

SEEN = {
    "found": ("acme: acme_x7k2q9w4", "acme: [REDACTED:acme-token]"),
    "its line is allowed": ("acme: acme_x7k2q9w4 # ok\nnext",) * 2,
    "the beginning of its line is allowed": ("a\nskip acme: acme_x7k2q9w4\nnext",) * 2,
    "another line is allowed": (
        "skip\nacme: acme_x7k2q9w4\n",
        "skip\nacme: [REDACTED:acme-token]\n",
    ),
    "too even": ("acme: acme_aaaaaaaaaa",) * 2,
    "a stop word": ("acme: acme_sample_x7k2",) * 2,
    "allowed for all": ("acme: acme_test_x7k2q9",) * 2,
    "a stop word for all": ("acme: acme_harmless7k2",) * 2,
    "without its keyword's place": ("acm: acme_x7k2q9w4",) * 2,
}


@pytest.mark.parametrize(("text", "expected"), SEEN.values(), ids=SEEN)
def test_rules_in_toml(text: str, expected: str) -> None:
    """Beside the built-in ones."""
    rules = load_rules(TEAM)

    assert expected == masked_text(text, rules)
    assert RULES.version != rules.version


REFUSED = {
    "no TOML": ("[[rules", "not TOML"),
    "an unknown key": ("[[rules]]\nid='a'\nregex='x'\nregx='y'", "unknown key 'regx'"),
    "an unknown table": ("[extend]\nuseDefault=true", "unknown key 'extend'"),
    "no pattern": ("[[rules]]\nid='a'", "no regex"),
    "a broken pattern": ("[[rules]]\nid='a'\nregex='('", "not a pattern"),
    "an id of two lines": ('[[rules]]\nid="a\\nb"\nregex="x"', "an id has"),
    "no such group": ("[[rules]]\nid='a'\nregex='x'\nsecretGroup=3", "no group 3"),
    "a group by name": ("[[rules]]\nid='a'\nregex='x'\nsecretGroup='g'", "are numbers"),
    "rules that are none": ("rules = 3", "a list of tables"),
    "keywords that are none": ("[[rules]]\nid='a'\nregex='x'\nkeywords='y'", "a list of texts"),
    "a pattern that is none": ("[[rules]]\nid='a'\nregex=3", "text is expected"),
    "a target unknown": ("[allowlist]\nregexTarget='file'\nregexes=['x']", "is unknown"),
}


@pytest.mark.parametrize(("text", "why"), REFUSED.values(), ids=REFUSED)
def test_what_is_no_rule_is_refused(text: str, why: str) -> None:
    """With its place."""
    with pytest.raises(InvalidInput, match=why):
        load_rules(text, source="team.toml")


def test_a_match_is_whole_wherever_windows_end() -> None:
    """Every offset around the middle and the end of a window."""
    secret = f"acme_{alnum(40)}"
    rules = Rules((custom_rule("acme", "acme_[a-zA-Z0-9]{40}"),))

    for at in [*range(4040, 4110), *range(8130, 8200)]:
        assert " " * at + "[REDACTED:acme]." == masked_text(f"{' ' * at}{secret}.", rules)
