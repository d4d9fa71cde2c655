"""What `import selfgen` offers: training rows from one's own data and model, in one call.

Data are rows of ``prompt`` and ``reference`` (or ``completion``), or of ``messages``: a path,
a ``datasets.Dataset`` or any rows by column. What is returned is a ``datasets.Dataset`` that
trainers of transformers and TRL take as it is.
"""
