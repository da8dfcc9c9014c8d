"""Long crash programs: `make crash` runs them in full, `make crash-smoke` and the tests in short."""
