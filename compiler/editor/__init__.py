"""What an editor asks about a text: diagnostics, hover, completion, definitions; and the server that answers it.

Everything but ``server.py`` is in plain values: offsets, spans and texts. No proof runs in the server's own process:
isl is not thread-safe, and a proof must not keep the editor waiting (``prover.py``).
"""
