"""Documents packed into one sequence: a token attends to the earlier tokens of its own document (Krell et al. 2021,
section 3)."""

# Where documents begin comes with the batch. What must attend is each token to itself; what may is everything earlier.
pattern packed_documents causal {
    step document(ids)

    prove nonempty
    prove causal
    prove self <= document(ids)
    prove keys <= n
    prove cache <= n
}

"""With a window inside the documents: what it costs is known again, whatever the documents are."""
pattern packed_window(w: int = 512) causal {
    require w >= 1
    step document(ids) & local(w)

    prove nonempty
    prove causal
    prove keys <= w
    prove cache <= w
}
