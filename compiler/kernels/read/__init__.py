"""A program, back from the text of its kernels, each statement of which must be one of the ``forms/``. No code is
shared with ``emit/``.
"""
