"""What stands in the boxes of the page, what may be chosen there, and the examples that fill them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields

LONGEST = 4000
"Characters of a box."
KINDS = {
    "auto": "what fits",
    "gradient": "gradient",
    "jacobian": "Jacobian",
    "hessian": "Hessian",
    "differential": "differential",
}
SPELLINGS = {
    "auto": "what it looks like",
    "numpy": "NumPy",
    "matlab": "MATLAB, matrixcalculus.org",
    "latex": "LaTeX",
    "unicode": "symbols",
}


@dataclass(frozen=True)
class Asked:
    """What stands in the boxes. `variables` are declarations, one a line or with semicolons between them."""

    f: str = ""
    wrt: str = ""
    claim: str = ""
    variables: str = ""
    kind: str = "auto"
    spelling: str = "auto"

    @classmethod
    def of(cls, given: Mapping[str, str]) -> Asked:
        """From a form; a choice that there is not, is none."""
        known = {each.name: given.get(each.name, "").replace("\r\n", "\n") for each in fields(cls)}
        for name, choices in (("kind", KINDS), ("spelling", SPELLINGS)):
            known[name] = known[name] if known[name] in choices else "auto"
        return cls(**known)

    @property
    def fields(self) -> dict[str, str]:
        """The boxes that hold something."""
        return {name: text for name, text in asdict(self).items() if text not in {"", "auto"}}


@dataclass(frozen=True)
class Example:
    """Boxes that are filled at a click."""

    name: str
    asked: Asked
    note: str = ""


def _group(prefix: str, *those: tuple[Asked, str]) -> tuple[Example, ...]:
    return tuple(Example(f"{prefix}{k}", asked, note) for k, (asked, note) in enumerate(those, 1))


_COVARIANCE = "inv(alpha*A*A' + eye(n)/beta)"
_GAUSSIAN = "alpha: positive\nbeta: positive\nA: real(n, d)"
_RESIDUAL = "W.T @ W @ x - x"

EXAMPLES = {
    "Right or wrong?": _group(
        "claim",
        (Asked("log(det(K))", "K", "inv(K)'", "K: invertible(n)"), "determinant"),
        (Asked("x'*A*x", "x", "2*A*x"), "quadratic form"),
        (Asked("trace(X.T @ B @ X)", "X", "B @ X"), "trace"),
        (Asked(r"\|A x - y\|_2^2", "x", r"2 A^\top (y - A x)"), "least squares"),
        (Asked("det(a*X)", "a", "a^(n-1)*det(X)", "a: real\nX: invertible(n)"), "determinant of a multiple"),
        (Asked("log det(X)", "X", "X⁻¹ᵀ", "X: spd(n)"), "symmetric variable"),
    ),
    "From lecture notes": _group(
        "notes",
        (Asked("‖X w − y‖² + λ‖w‖₁", "w", "2 Xᵀ(X w − y) + λ sign(w)", "λ: real\nX: real(m, n)\nw: real(n)\ny: real(m)"), "lasso"),
        (Asked("-sum(y * log(softmax(z)))", "z", "softmax(z) - y", "y: real(n)\nz: real(n)"), "cross-entropy"),
        (Asked("softmax(x)", "x", "diag(softmax(x)) - outer(softmax(x), softmax(x))", "x: real(n)"), "Jacobian"),
        (Asked("(y - sigmoid(h))^2", "h", "2*(y - sigmoid(h))*sigmoid(h)*(1 - sigmoid(h))", "y: real\nh: real"), "one neuron"),
        (
            Asked(
                f"norm({_RESIDUAL})**2", "W", f"2 * (outer(W @ x, {_RESIDUAL}) + W @ outer({_RESIDUAL}, x))", "W: real(m, n)\nx: real(n)"
            ),
            "autoencoder",
        ),
        (
            Asked("-D/2 * log(det(alpha*A*A' + eye(n)/beta))", "A", f"-alpha*D*{_COVARIANCE}*A", f"D: positive\n{_GAUSSIAN}"),
            "Gaussian process, log det",
        ),
        (
            Asked(f"-1/2*tr({_COVARIANCE}*B*B')", "A", f"2*alpha*{_COVARIANCE}*B*B'*{_COVARIANCE}*A", f"{_GAUSSIAN}\nB: real(n, k)"),
            "Gaussian process, trace",
        ),
    ),
    "The ten of matrixcalculus.org, derived": _group(
        "derive",
        *(
            (Asked(f, wrt, spelling="matlab"), "")
            for f, wrt in [
                ("0.5*x'*A*x", "x"),
                ("A*exp(x)", "x"),
                ("sin(x)'*y", "x"),
                ("(y.*v)'*x", "y"),
                ("a^b", "a"),
                ("norm1(A*x-y)", "x"),
                ("norm2(A*x-y)^2", "x"),
                ("sum(log(exp(-y.*(X*w))+vector(1)))", "w"),
                ("tr(A*X'*B*X*C)", "X"),
                ("log(det(inv(X)))", "X"),
            ]
        ),
    ),
}
"By group, in the order of the page."


def example(name: str) -> Example | None:
    """The example of this name, if there is one."""
    return next((one for group in EXAMPLES.values() for one in group if one.name == name), None)
