"""Mixing room: pure functions from references and passes to training rows; no torch."""
