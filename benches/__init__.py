"""Benches: ours against the floor and the peers, in one run."""
