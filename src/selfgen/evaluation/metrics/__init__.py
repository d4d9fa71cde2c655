"""The graders as ``evaluate`` metrics, for users; selfgen itself imports none.

``evaluate.load("<this folder>/selfgen_rouge.py")`` works offline, and so does the
class: ``from selfgen.evaluation.metrics.selfgen_rouge import SelfgenRouge``.
"""
