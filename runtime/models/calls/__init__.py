"""What a layer runs at each call: what was bound to it, found by the attention function that transformers calls."""
