"""Signed heads, and proofs that need no more of a log than they name: docs/FORMAT.md §10."""
