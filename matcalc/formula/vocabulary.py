"""The words for functions in all spellings, and what each is called among the operations."""

from __future__ import annotations

from typing import Literal

Spelling = Literal["latex", "unicode", "numpy", "matlab"]
SPELLINGS: tuple[Spelling, ...] = ("latex", "unicode", "numpy", "matlab")


def words(text: str) -> frozenset[str]:
    """The words of a text as a set."""
    return frozenset(text.split())


_WORDS = {
    "inv": "inv inverse",
    "pinv": "pinv",
    "det": "det Det",
    "logdet": "logdet",
    "logabsdet": "logabsdet log_abs_det",
    "slogdet": "slogdet",
    "trace": "trace tr Tr Trace",
    "transpose": "transpose",
    "log": "log ln",
    "exp": "exp",
    "log1p": "log1p",
    "expm1": "expm1",
    "expm": "expm",
    "logm": "logm",
    "sqrtm": "sqrtm",
    "sqrt": "sqrt",
    "square": "square",
    "sin": "sin",
    "cos": "cos",
    "tan": "tan",
    "sinh": "sinh",
    "cosh": "cosh",
    "tanh": "tanh",
    "arcsin": "arcsin asin",
    "arctan": "arctan atan",
    "erf": "erf",
    "erfc": "erfc",
    "log_gamma": "log_gamma gammaln lgamma loggamma",
    "gamma": "Gamma gammafunction",
    "digamma": "digamma",
    "sign": "sign sgn",
    "abs": "abs absolute fabs",
    "relu": "relu ReLU",
    "step": "step heaviside",
    "sigmoid": "sigmoid expit logistic",
    "softplus": "softplus",
    "softmax": "softmax",
    "logsumexp": "logsumexp",
    "sum": "sum",
    "prod": "prod",
    "mean": "mean",
    "max": "max amax",
    "min": "min amin",
    "maximum": "maximum",
    "minimum": "minimum",
    "norm": "norm norm2",
    "norm1": "norm1",
    "nuclear": "nuclear norm_nuc",
    "spectral": "spectral",
    "diag": "diag Diag",
    "diagonal": "diagonal",
    "vec": "vec",
    "tril": "tril",
    "triu": "triu",
    "hollow": "hollow",
    "kron": "kron",
    "outer": "outer",
    "dot": "dot",
    "inner": "inner",
    "inner_product": "vdot",
    "matmul": "matmul",
    "multiply": "multiply",
    "divide": "divide",
    "add": "add",
    "subtract": "subtract",
    "power": "power pow",
    "matrix_power": "matrix_power mpower",
    "solve": "solve",
    "cumsum": "cumsum",
    "sort": "sort",
    "eye": "eye identity",
    "ones": "ones",
    "zeros": "zeros",
    "vector": "vector",
    "matrix": "matrix",
    "unit": "unit",
    "block": "block",
    "array": "array",
    "sym": "sym",
    "skew": "skew",
}
FUNCTIONS: dict[str, str] = {word: function for function, spellings in _WORDS.items() for word in spellings.split()}
"What every word means."

ENTRYWISE = words("exp log sqrt sin cos tan sinh cosh tanh arcsin arctan erf erfc log_gamma digamma sign abs relu step sigmoid softplus")
NUMPY_WORDS = words("outer dot maximum minimum matrix_power matmul multiply divide subtract absolute expit solve slogdet")
MATLAB_WORDS = words("tr norm2 vector matrix")
"Words that only somebody writes who writes this spelling."
