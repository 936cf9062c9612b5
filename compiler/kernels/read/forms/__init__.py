"""The statements of which kernels consist, as read expects them. A ``HOLE_`` is what a kernel may choose.

Written apart from emit: that both say the same is what reading proves.
"""
