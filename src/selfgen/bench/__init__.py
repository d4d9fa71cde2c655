"""Benchmarks: what a step costs beside what a user would do instead, in one run."""
