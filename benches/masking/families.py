"""The secrets of the corpus: one maker for each family. Nothing here is one; all are thrown dice."""

import base64
import json
from collections.abc import Callable, Mapping

from .alphabet import ALNUM, HEX, SYMBOLS, UPPER, URLSAFE, Dice

Maker = Callable[[Dice], str]


def _pem(kind: str) -> Maker:
    def make(dice: Dice) -> str:
        body = dice.base64(dice.number(300, 900))
        lines = "\n".join(body[at : at + 64] for at in range(0, len(body), 64))
        return f"-----BEGIN {kind}-----\n{lines}\n-----END {kind}-----"

    return make


def _segment(dice: Dice, size: int) -> str:
    text = json.dumps({"iat": dice.number(10**9, 2 * 10**9), "sub": dice.text(size)})
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _jwt(dice: Dice) -> str:
    head = base64.urlsafe_b64encode(b'{"alg":"HS256","typ":"JWT"}').decode().rstrip("=")
    return f"{head}.{_segment(dice, dice.number(20, 120))}.{dice.text(43, URLSAFE)}"


# Told by their own shape, wherever they stand.
TOKENS: Mapping[str, Maker] = {
    "aws access key": lambda d: d.pick("AKIA", "ASIA") + d.text(16, UPPER),
    "github classic": lambda d: d.pick("ghp_", "gho_", "ghs_", "ghu_", "ghr_") + d.text(36),
    "github fine-grained": lambda d: f"github_pat_{d.text(22)}_{d.text(59)}",
    "gitlab": lambda d: "glpat-" + d.text(20, URLSAFE),
    "anthropic api": lambda d: f"sk-ant-api03-{d.text(93, URLSAFE)}AA",
    "anthropic oauth": lambda d: f"sk-ant-oat01-{d.text(86, URLSAFE)}AA",
    "openai project": lambda d: f"sk-proj-{d.text(74, URLSAFE)}T3BlbkFJ{d.text(74, URLSAFE)}",
    "openai service account": lambda d: "sk-svcacct-" + d.text(60, URLSAFE),
    "openai old": lambda d: f"sk-{d.text(20)}T3BlbkFJ{d.text(20)}",
    "sk- key": lambda d: "sk-" + d.text(32, HEX),
    "openrouter": lambda d: "sk-or-v1-" + d.text(64, HEX),
    "google api": lambda d: "AIza" + d.text(35, URLSAFE),
    "google oauth token": lambda d: "ya29." + d.text(120, URLSAFE),
    "google oauth secret": lambda d: "GOCSPX-" + d.text(28, URLSAFE),
    "slack bot": lambda d: (
        f"xoxb-{d.number(10**11, 10**12)}-{d.number(10**11, 10**12)}-{d.text(24)}"
    ),
    "slack app": lambda d: (
        f"xapp-1-A{d.text(10, UPPER)}-{d.number(10**12, 10**13 - 1)}-{d.text(64, HEX)}"
    ),
    "slack webhook": lambda d: (
        f"https://hooks.slack.com/services/T{d.text(8, UPPER)}/B{d.text(10, UPPER)}/{d.text(24)}"
    ),
    "stripe": lambda d: d.pick("sk_live_", "rk_live_", "sk_test_") + d.text(24),
    "stripe webhook": lambda d: "whsec_" + d.text(32),
    "twilio": lambda d: "SK" + d.text(32, HEX),
    "sendgrid": lambda d: f"SG.{d.text(22, URLSAFE)}.{d.text(43, URLSAFE)}",
    "mailchimp": lambda d: f"{d.text(32, HEX)}-us{d.number(1, 21)}",
    "mailgun": lambda d: "key-" + d.text(32, HEX),
    "npm": lambda d: "npm_" + d.text(36),
    "pypi": lambda d: "pypi-AgEIcHlwaS5vcmc" + d.text(150, URLSAFE),
    "rubygems": lambda d: "rubygems_" + d.text(48, HEX),
    "docker hub": lambda d: "dckr_pat_" + d.text(27, URLSAFE),
    "hugging face": lambda d: "hf_" + d.text(34),
    "replicate": lambda d: "r8_" + d.text(37),
    "databricks": lambda d: "dapi" + d.text(32, HEX),
    "digitalocean": lambda d: "dop_v1_" + d.text(64, HEX),
    "shopify": lambda d: "shpat_" + d.text(32, HEX),
    "square": lambda d: "sq0atp-" + d.text(22, URLSAFE),
    "telegram": lambda d: f"{d.number(10**8, 10**10 - 1)}:AA{d.text(33, URLSAFE)}",
    "discord bot": lambda d: f"M{d.text(25)}.{d.text(6, URLSAFE)}.{d.text(38, URLSAFE)}",
    "discord webhook": lambda d: (
        f"https://discord.com/api/webhooks/{d.number(10**17, 10**18)}/{d.text(68, URLSAFE)}"
    ),
    "azure client secret": lambda d: f"{d.text(3)}8Q~{d.text(34, URLSAFE)}",
    "vault": lambda d: "hvs." + d.text(90, URLSAFE),
    "terraform": lambda d: f"{d.text(14)}.atlasv1.{d.text(64, URLSAFE)}",
    "atlassian": lambda d: "ATATT3xFfGF0" + d.text(170, URLSAFE) + "=" + d.text(8, UPPER),
    "linear": lambda d: "lin_api_" + d.text(40),
    "notion": lambda d: "ntn_" + d.text(46),
    "figma": lambda d: "figd_" + d.text(40, URLSAFE),
    "postman": lambda d: f"PMAK-{d.text(24, HEX)}-{d.text(34, HEX)}",
    "new relic": lambda d: "NRAK-" + d.text(27, UPPER),
    "grafana": lambda d: f"glsa_{d.text(32)}_{d.text(8, HEX)}",
    "groq": lambda d: "gsk_" + d.text(52),
    "supabase": lambda d: "sbp_" + d.text(40, HEX),
    "tailscale": lambda d: f"tskey-auth-{d.text(12)}CNTRL-{d.text(32)}",
    "age": lambda d: "AGE-SECRET-KEY-1" + d.text(58, UPPER),
    "jwt": _jwt,
    "rsa key": _pem("RSA PRIVATE KEY"),
    "openssh key": _pem("OPENSSH PRIVATE KEY"),
    "pkcs8 key": _pem("PRIVATE KEY"),
    "ec key": _pem("EC PRIVATE KEY"),
}


def _password(dice: Dice) -> str:
    return dice.pick(
        dice.word().title() + str(dice.number(10, 9999)) + dice.pick("!", "#", "?", "*", ""),
        dice.text(dice.number(10, 20)),
        dice.text(dice.number(10, 16), ALNUM + SYMBOLS),
        dice.word() + dice.pick("-", "_", "+") + dice.text(5) + dice.pick("!", "^", "=7"),
        f"{dice.word()}{dice.number(1, 99)}{dice.word()}",
    )


# Told by nothing: the rules are known to miss them.
HARD: Mapping[str, str] = {
    "a password that nothing names": "try {} then, as root",
    "a token in two halves": "first {}, the rest comes later",
    "a password in a sentence of its own": "it used to be {} before the move",
}

# Told by what names them, or by what stands around them.
NAMED: Mapping[str, Maker] = {
    "password": _password,
    "numeric password": lambda d: str(d.number(10**5, 10**9)),
    "password with @": lambda d: f"{d.word()}{d.number(1, 99)}@{d.word()}{d.number(1, 99)}",
    "aws secret key": lambda d: d.text(40, ALNUM + "/+"),
    "hex secret": lambda d: d.text(d.number(16, 32) * 2, HEX),
    "alphanumeric secret": lambda d: d.text(d.number(20, 48)),
    "base64 secret": lambda d: d.base64(d.number(24, 48)),
    "uuid key": lambda d: d.uuid(),
}
