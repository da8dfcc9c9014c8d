"""Importers: transcripts of other agents become entries, nothing dropped."""
