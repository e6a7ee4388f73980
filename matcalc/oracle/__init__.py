"""Derivatives nobody wrote by hand: what a function's own values, or another program's differentiation of it, say."""
