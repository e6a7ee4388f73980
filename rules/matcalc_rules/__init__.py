"""The catalogue: matrix-derivative rules, one module a topic."""
