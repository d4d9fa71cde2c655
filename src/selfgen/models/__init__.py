"""Models: base models, loading, attention, shapes."""
