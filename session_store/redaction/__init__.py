"""Masking of secrets: rules, what they find, and bodies with markers in its place."""

from .custom import CustomRule, custom_rule
from .rules import Rules, default_rules
from .toml import load_rules

__all__ = ["CustomRule", "Rules", "custom_rule", "default_rules", "load_rules"]
