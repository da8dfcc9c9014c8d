"""Examining a whole store: what is wrong with it, what that means, and what mends it."""

from .examination import Examination, Progress
from .findings import Severity, StoreFinding

__all__ = ["Examination", "Progress", "Severity", "StoreFinding"]
