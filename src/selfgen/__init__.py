"""selfgen: train language models on their own tokens (BASH and RAC, arXiv 2410.14655)."""

__version__ = "0.1.0"
