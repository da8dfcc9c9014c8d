"""
Tokens whose first characters tell who issued them.

Nobody searches a text for eighty prefixes: every one of these tokens holds a run of 16 or
more characters of the alphabet of tokens. Such runs are found at the speed of memory, and
prefixes are looked for in them, or right before them.
"""

import re
from collections.abc import Iterator, Sequence

from .plausible import entropy, is_placeholder
from .spans import Span

_RUN = b"\x01" * 16
_ALPHABET = bytes(
    c in b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_-" for c in range(256)
)
_BLOB = bytes(
    c in b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz+/" for c in range(256)
)
_BLOB_MIN = 1024
"""Bytes of base64 in one piece that are an image or the like: what looks like a token in it is chance."""
_BLOB_TAIL = 128
_END = "(?![A-Za-z0-9_-])"
# Behind an escape of a text in a text, of a URL or of a terminal, a letter is no word's.
_BEGIN = r"(?:(?<![A-Za-z0-9_])|(?<=\\[nrt])|(?<=%[0-9A-F]{2})|(?<=[0-9]m))"

# Rule, the literal beginnings, what follows.
_FAMILIES = (
    ("age-secret-key", "AGE-SECRET-KEY-1", "[A-Z0-9]{58}"),
    ("alibaba-access-key", "LTAI", "[A-Za-z0-9]{16,21}" + _END),
    ("anthropic-key", "sk-ant-", "[a-z]{3,8}[0-9]{2}-[A-Za-z0-9_-]{32,160}"),
    ("jfrog-key", "AKCp", "[A-Za-z0-9]{60,80}"),
    ("atlassian-token", "ATATT3 ATCTT3", "[A-Za-z0-9_=-]{60,220}"),
    ("aws-access-key", "AKIA ASIA ABIA ACCA", "[A-Z0-9]{16}" + _END),
    ("buildkite-token", "bkua_ bkaj_", "[a-f0-9]{32,40}"),
    ("circleci-token", "CCIPAT_", "[A-Za-z0-9]{22}_[a-f0-9]{40}"),
    ("confab-key", "cfb_", "[A-Za-z0-9]{32,64}"),
    ("databricks-token", "dapi", "[0-9a-f]{32}(?:-[0-9])?" + _END),
    ("digitalocean-token", "dop_v1_ doo_v1_ dor_v1_", "[a-f0-9]{64}"),
    ("docker-token", "dckr_pat_ dckr_oat_", "[A-Za-z0-9_-]{27,56}"),
    ("elevenlabs-key", "sk_", "[a-f0-9]{48}" + _END),
    ("facebook-token", "EAA", "[A-Za-z0-9]{90,300}"),
    ("figma-token", "figd_", "[A-Za-z0-9_-]{38,48}"),
    ("flyio-token", "fo1_ fm2_", "[A-Za-z0-9+/=_-]{40,600}"),
    ("gcp-api-key", "AIza", "[A-Za-z0-9_-]{35}" + _END),
    ("gcp-oauth-secret", "GOCSPX-", "[A-Za-z0-9_-]{28}" + _END),
    ("github-token", "ghp_ gho_ ghu_ ghs_ ghr_", "[A-Za-z0-9]{36}(?:(?!gh[pousr]_)[A-Za-z0-9]){0,200}"),
    ("github-pat", "github_pat_", "[A-Za-z0-9]{22}_[A-Za-z0-9]{59}"),
    (
        "gitlab-token",
        "glpat- gldt- glrt- glptt- glft- glcbt- glimt- glagent- glsoat- gloas-",
        "[A-Za-z0-9_-]{20,100}",
    ),
    ("grafana-token", "glsa_", "[A-Za-z0-9]{32}_[A-Fa-f0-9]{8}"),
    ("grafana-token", "glc_", "[A-Za-z0-9+/]{32,400}={0,2}"),
    ("groq-key", "gsk_", "[A-Za-z0-9]{48,56}"),
    ("heroku-key", "HRKU-", "[A-Za-z0-9_-]{36,64}"),
    ("huggingface-token", "hf_ api_org_", "[A-Za-z0-9]{34,40}" + _END),
    ("langsmith-key", "lsv2_pt_ lsv2_sk_", "[a-f0-9]{32}_[a-f0-9]{10}"),
    ("linear-key", "lin_api_ lin_oauth_", "[A-Za-z0-9]{32,64}"),
    ("mailgun-key", "key-", "[a-f0-9]{32}" + _END),
    ("netlify-token", "nfp_ nfc_ nfo_ nfu_", "[A-Za-z0-9]{36,40}"),
    ("newrelic-key", "NRAK-", "[A-Z0-9]{27}"),
    ("notion-token", "ntn_ secret_", "[A-Za-z0-9]{43,50}" + _END),
    ("npm-token", "npm_", "[A-Za-z0-9]{36}" + _END),
    ("onepassword-token", "ops_eyJ", "[A-Za-z0-9+/_=-]{100,1000}"),
    ("openai-key", "sk-proj- sk-svcacct- sk-admin-", "(?=[a-z_-]{0,40}[A-Z0-9])[A-Za-z0-9_-]{20,220}"),
    ("openai-key", "sk-", "[A-Za-z0-9]{20}T3BlbkFJ[A-Za-z0-9]{20}"),
    ("openrouter-key", "sk-or-v1-", "[a-f0-9]{64}"),
    ("sk-key", "sk-", "(?=[A-Za-z]{0,40}[0-9])[A-Za-z0-9]{32,64}" + _END),
    ("perplexity-key", "pplx-", "[A-Za-z0-9]{40,64}"),
    ("pinecone-key", "pcsk_", "[A-Za-z0-9_]{40,90}"),
    ("planetscale-token", "pscale_tkn_ pscale_oauth_ pscale_pw_", "[A-Za-z0-9_-]{32,64}"),
    ("postman-key", "PMAK-", "[a-f0-9]{24}-[a-f0-9]{34}"),
    ("prefect-key", "pnu_ pnb_", "[A-Za-z0-9]{36}" + _END),
    ("pulumi-token", "pul-", "[a-f0-9]{40}"),
    ("pypi-token", "pypi-AgE", "[A-Za-z0-9_-]{50,300}"),
    ("readme-key", "rdme_", "[a-z0-9]{70}"),
    ("replicate-token", "r8_", "[A-Za-z0-9]{37,40}"),
    ("rubygems-key", "rubygems_", "[a-f0-9]{48}"),
    ("sentry-token", "sntrys_ sntryu_", "[A-Za-z0-9+/=_]{60,400}"),
    ("shopify-token", "shpat_ shpca_ shppa_ shpss_", "[A-Fa-f0-9]{32}"),
    ("slack-token", "xoxa- xoxb- xoxe- xoxo- xoxp- xoxr- xoxs-", "[A-Za-z0-9-]{20,250}"),
    ("slack-token", "xoxe.xoxb- xoxe.xoxp-", "[A-Za-z0-9-]{20,250}"),
    ("slack-token", "xapp-", "[0-9]-[A-Za-z0-9]{8,14}-[0-9]{10,14}-[a-f0-9]{32,64}"),
    ("sonar-token", "squ_ sqp_ sqa_", "[a-f0-9]{40}"),
    ("square-token", "sq0atp- sq0csp- sq0idp-", "[A-Za-z0-9_-]{22,43}"),
    ("stripe-key", "sk_live_ sk_test_ sk_prod_ rk_live_ rk_test_ rk_prod_", "[A-Za-z0-9]{20,120}"),
    ("stripe-webhook-secret", "whsec_", "[A-Za-z0-9+/]{24,64}={0,2}"),
    ("supabase-key", "sbp_ sb_secret_", "[A-Za-z0-9_]{31,50}"),
    ("tailscale-key", "tskey-", "[a-z]{3,9}-[A-Za-z0-9]{10,20}(?:-[A-Za-z0-9]{20,40})?"),
    ("tavily-key", "tvly-", "[A-Za-z0-9-]{32,48}"),
    ("twilio-key", "SK", "[0-9a-f]{32}" + _END),
    ("xai-key", "xai-", "[A-Za-z0-9]{60,90}"),
)  # fmt: skip
# The same, where the beginning lies in front of the run: the byte between, how far.
_LED = (
    ("airtable-token", ".", (18,), r"pat[A-Za-z0-9]{14}\.[0-9a-f]{64}"),
    ("azure-client-secret", "~", (6,), r"[A-Za-z0-9_~.]{3}[78]Q~[A-Za-z0-9_~.-]{31,34}"),
    (
        "discord-webhook",
        "/",
        (25, 28),
        r"discord(?:app)?\.com/api/webhooks/[0-9]{17,20}/[A-Za-z0-9_-]{60,72}",
    ),
    (
        "doppler-token",
        ".",
        (6, 8, 9),
        r"dp\.(?:pt|st|ct|sa|scim|audit)\.[A-Za-z0-9_-]{40,64}",
    ),
    ("dropbox-token", ".", (3, 5), r"sl\.(?:u\.)?[A-Za-z0-9_-]{120,400}"),
    ("gcp-oauth-token", ".", (5,), r"ya29\.[A-Za-z0-9_.-]{30,400}"),
    ("sendgrid-key", ".", (3,), r"SG\.[A-Za-z0-9_-]{16,32}\.[A-Za-z0-9_-]{32,64}"),
    ("telegram-token", ":", (9, 10, 11), "[0-9]{8,10}:AA[A-Za-z0-9_-]{33}" + _END),
    ("terraform-token", ".", (23,), r"[A-Za-z0-9]{14}\.atlasv1\.[A-Za-z0-9_=-]{60,70}"),
    ("vault-token", ".", (4,), r"hv[sbr]\.[A-Za-z0-9_-]{24,200}"),
)
_SLACK = b"hooks.slack.com/"
_SLACK_WEBHOOK = re.compile(
    rb"hooks\.slack\.com/(?:services|workflows|triggers)/[A-Z0-9]{8,12}/[A-Z0-9]{8,14}/"
    rb"[A-Za-z0-9]{20,32}"
)
_BEHIND = (
    ("discord-token", r"[MNO][A-Za-z0-9_-]{22,27}\.[A-Za-z0-9_-]{6}\.[A-Za-z0-9_-]{27,40}" + _END),
    ("mailchimp-key", "[0-9a-f]{32}-us[0-9]{1,2}" + _END),
    ("azure-devops-token", "[A-Za-z0-9]{76}AZDO[A-Za-z0-9]{4}" + _END),
)

_Pattern = re.Pattern[bytes]


def _compiled(pattern: str, *, is_plain: bool = True) -> _Pattern:
    return re.compile((_BEGIN * is_plain + pattern).encode())


def _is_plain(anchor: str) -> bool:
    """Return whether *anchor* may be a part of a word: it then counts at the beginning of one."""
    return anchor.startswith("sk") or len(anchor) < 4 or not re.search("[_-]", anchor)


def _by_anchor() -> dict[bytes, list[tuple[str, _Pattern]]]:
    found: dict[bytes, list[tuple[str, _Pattern]]] = {}
    for rule, anchors, rest in _FAMILIES:
        for anchor in anchors.split():
            pattern = _compiled(re.escape(anchor) + rest, is_plain=_is_plain(anchor))
            found.setdefault(anchor.encode(), []).append((rule, pattern))
    return found


def _any_of(anchors: Sequence[bytes]) -> _Pattern:
    """Return a pattern that tries those alone that begin with the letter at hand."""
    ends: dict[bytes, list[bytes]] = {}
    for anchor in sorted(anchors, key=len, reverse=True):
        ends.setdefault(anchor[:1], []).append(re.escape(anchor[1:]))
    return re.compile(b"|".join(c + b"(?:" + b"|".join(e) + b")" for c, e in ends.items()))


_BY_ANCHOR = _by_anchor()
_DASHED = _any_of(list(_BY_ANCHOR))
_PLAIN = _any_of([a for a in _BY_ANCHOR if b"-" not in a and b"_" not in a])
_LED_PATTERNS = {
    lead.encode(): [
        (rule, back, _compiled(pattern)) for rule, one, back, pattern in _LED if one == lead
    ]
    for lead in "./:~"
}
_BEHIND_PATTERNS = [(rule, _compiled(pattern)) for rule, pattern in _BEHIND]
_JWT = re.compile(
    rb"ey[A-Z][A-Za-z0-9_-]{8,}\.ey[A-Za-z0-9_-]{8,8000}(?:\.[A-Za-z0-9_-]{16,1400})?"
)
_JWT_HEADER_MAX = 2000

DEFINITIONS = repr((_FAMILIES, _LED, _BEHIND, _SLACK_WEBHOOK.pattern, _JWT.pattern))


def find_prefixed(text: bytes) -> Iterator[Span]:
    """Yield the tokens in *text*."""
    classes = text.translate(_ALPHABET)
    blobs = text.translate(_BLOB) if len(text) > _BLOB_MIN else b""
    end = 0
    while (at := classes.find(_RUN, end)) >= 0:
        start = max(classes.rfind(b"\0", end, at) + 1, end)
        end = classes.find(b"\0", at)
        if end < 0:
            end = len(text)
        last = start
        for span in _in_run(text, start, end):
            yield span
            last = max(last, span.end)
        end = max(end, last)
        if blobs and last == start:
            blob = blobs.find(b"\0", start)
            blob = len(text) if blob < 0 else blob
            if blob - start >= _BLOB_MIN:
                end = max(end, blob - _BLOB_TAIL)


def _in_run(text: bytes, start: int, end: int) -> Iterator[Span]:
    before = text[start - 1 : start] if start else b""
    if before in _LED_PATTERNS:
        yield from _led(text, before, start)
        if before == b"." and text.startswith(b"ey", start):
            yield from _jwt(text, start)
    if end - start >= 23 and (text.startswith(b".", end) or end - start >= 36):
        yield from _behind(text, start, end)
    is_dashed = text.find(b"_", start, end) >= 0 or text.find(b"-", start, end) >= 0
    search = (_DASHED if is_dashed else _PLAIN).search
    # A beginning may have a dot in it: xoxe.xoxp-
    at = max(start - 5, 0) if text.startswith(b"xox", start) else start
    while (found := search(text, at, end)) is not None:
        at = found.start() + 1
        for rule, pattern in _BY_ANCHOR[found.group()]:
            match = pattern.match(text, found.start())
            if match is not None and _is_random(match.group()):
                yield Span(*match.span(), rule, "definite")
                at = match.end()
                break


def _led(text: bytes, before: bytes, start: int) -> Iterator[Span]:
    for rule, backs, pattern in _LED_PATTERNS[before]:
        for back in backs:
            match = pattern.match(text, start - back) if back <= start else None
            if match is not None and _is_random(match.group()):
                yield Span(*match.span(), rule, "definite")
                break
    if before == b"/" and (at := text.rfind(_SLACK, max(start - 72, 0), start)) >= 0:
        match = _SLACK_WEBHOOK.match(text, at)
        if match is not None and _is_random(match.group()):
            yield Span(*match.span(), "slack-webhook", "definite")


def _behind(text: bytes, start: int, end: int) -> Iterator[Span]:
    for rule, pattern in _BEHIND_PATTERNS:
        # Only at the run's first letters: what may stand before is an escape's (`\\n`, `32m`).
        for at in range(start, min(start + 4, end)):
            match = pattern.match(text, at)
            if match is not None and _is_random(match.group()):
                yield Span(*match.span(), rule, "definite")
                break


def _jwt(text: bytes, start: int) -> Iterator[Span]:
    """The middle of a token begins at *start*; its header is what stands before the dot."""
    floor = max(start - 1 - _JWT_HEADER_MAX, 0)
    begin = floor + text[floor : start - 1].translate(_ALPHABET).rfind(b"\0") + 1
    for at in range(begin, min(begin + 4, start)):
        match = _JWT.match(text, at)
        if match is not None:
            yield Span(*match.span(), "jwt", "definite")
            return


def _is_random(token: bytes) -> bool:
    return entropy(token[:128]) >= 2.8 and not is_placeholder(token[-64:])
