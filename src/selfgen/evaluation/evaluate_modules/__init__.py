"""Metrics as modules of the library ``evaluate``, for users; selfgen itself imports none.

``evaluate.load("<this folder>/selfgen_rouge.py")`` works offline, and so does the
class: ``from selfgen.evaluation.evaluate_modules.selfgen_rouge import SelfgenRouge``.
"""
