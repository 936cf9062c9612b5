"""What the language knows by itself: the prelude, written in it; native relations; the selectors of `learn`."""
