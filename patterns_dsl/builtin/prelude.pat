"""The rules that every file may use. A file may define its own under the same names."""

# Relations: query i attends to key j. In a causal pattern each is meant within j <= i.

"""Every pair."""
rule everything = { (i, j) : 0 <= i and 0 <= j }

"""No later key."""
rule causal = { (i, j) : j <= i }

"""The token itself."""
rule self = { (i, j) : i = j }

"""w keys each side, self included."""
rule local(w: int) = { (i, j) : -w < i - j < w }

"""`back` earlier keys, `ahead` later ones, and self."""
rule band(back: int, ahead: int) = { (i, j) : -ahead <= i - j <= back }

"""Every s-th key, counted from the query."""
rule strided(s: int) = { (i, j) : (i - j) mod s = 0 }

"""Consecutive blocks of s tokens, each to itself."""
rule block(s: int) = { (i, j) : i div s = j div s }

"""The last c keys of every l: the summary columns of Child et al. 2019."""
rule fixed(l: int, c: int) = { (i, j) : j mod l >= l - c }

# Sets of positions.

"""The first k positions."""
rule first(k: int) = { j : j < k }

"""The last k positions."""
rule last(k: int) = { j : j >= n - k }

# Lifts: a set of positions becomes a relation.

"""Every query attends to the keys in s."""
rule columns(s: set) = { (i, j) : j in s }

"""The queries in s attend to every key."""
rule rows(s: set) = { (i, j) : i in s }

"""The tokens in s attend to all and are attended to by all."""
rule axis(s: set) = rows(s) | columns(s)

"""Global tokens (Beltagy et al. 2020, section 3.1)."""
rule global(s: set) = axis(s)

# Relations made of relations.

"""Who is attended to attends: (i, j) for each (j, i)."""
rule transpose(r: relation) = { (i, j) : (j, i) in r }

"""The keys of r, k places earlier."""
rule shift(r: relation, k: int) = { (i, j) : (i, j + k) in r }
