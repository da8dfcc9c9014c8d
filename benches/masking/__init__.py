"""How well secrets are found: a corpus made at run time, ours and others' rules on it."""
