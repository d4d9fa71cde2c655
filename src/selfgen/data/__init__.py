"""Data room: sources, loaders, prompts, records, the leakage guard."""
