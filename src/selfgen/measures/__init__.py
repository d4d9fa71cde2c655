"""The instrument for exposure bias: what is read of a model, and what is made of that.

``reading`` reads a model on prompts with references and keeps a row a prompt. Each other
module is a group of measures, which are functions of those rows (``base``). ``checks`` tells
bugs apart from bias. docs/measure.md says what each measure is, and cannot show.
"""
