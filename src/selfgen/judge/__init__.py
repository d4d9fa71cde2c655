"""Judges behind an OpenAI-compatible endpoint: what is asked, paid for and kept."""
