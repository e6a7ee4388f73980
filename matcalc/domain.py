"""Sets of inputs: which points a rule is for, and along which tangents it is differentiated there.

A domain owns its points *and* its tangent space. It does not draw anything itself: it shapes noise (any array of ordinary
numbers) into a point or a tangent, so that a random generator and Hypothesis build cases by the same code, and a case shrinks
when its noise shrinks.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

from matcalc.array import (
    absolute,
    argsort,
    concat,
    det,
    diagonal,
    eig_real,
    eigh,
    exp,
    eye,
    flip,
    inv,
    is_array,
    is_floating,
    largest,
    mean,
    norm,
    ones_like,
    qr,
    reshape,
    sigmoid,
    skew,
    smallest,
    solve,
    sym,
    thin_svd,
    total,
    tril,
    triu,
    zeros,
    zeros_like,
)
from matcalc.array import where as choose

if TYPE_CHECKING:
    from collections.abc import Mapping

Sizes = dict[str, int]
FAR = float("inf")


@dataclass(frozen=True)
class Dimension:
    """The length of one axis: a name shared with other inputs, or a fixed number; never below `least`."""

    name: str
    least: int = 0

    @property
    def fixed(self) -> int | None:
        """The length itself where it is a number."""
        return int(self.name) if self.name.isdigit() else None

    def length(self, sizes: Mapping[str, int]) -> int:
        """The length under the given sizes."""
        return self.fixed if self.fixed is not None else sizes[self.name]


def _dimensions(text: str) -> tuple[Dimension, ...]:
    """`"n p"`, `"n>=2"`, `"3 n"` as dimensions."""
    if not isinstance(text, str):  # pyright: ignore[reportUnnecessaryIsInstance]  (who asks may run no type checker)
        raise TypeError(f'dimensions are words such as "n", "n p" or "3", but {text!r} came')
    dimensions = []
    for word in text.split():
        match = re.fullmatch(r"(\d+)|([A-Za-z]\w*)(?:>=(\d+))?", word)
        if not match:
            raise ValueError(f'a dimension is a name, a number, or a name with its least size like "n>=2", but {word!r} came')
        dimensions.append(Dimension(match[1] or match[2], int(match[3] or 0)))
    return tuple(dimensions)


def _square(text: str) -> tuple[Dimension, ...]:
    """`"n"` as the dimensions of a square matrix."""
    dimensions = _dimensions(text)
    if len(dimensions) != 1:
        raise ValueError(f'a square matrix has a single size such as "n", but {text!r} came')
    return dimensions * 2


@dataclass(frozen=True)
class Domain:
    """All real arrays of a shape; the other domains narrow this one.

    `dims` names the axes: domains of one rule that share a name share that size. `held` marks an input that is not
    differentiated. `scale` is the size of a typical entry.
    """

    dims: tuple[Dimension, ...] = ()
    held: bool = False
    scale: float = 1.0

    word: ClassVar[str] = "real"
    least: ClassVar[int] = 0
    tangent_only: ClassVar[bool] = False
    "Whether a gradient must itself lie in the tangent space (a triangle that is not read gets exact zeros)."

    def __str__(self) -> str:
        kinds = {0: "number", 1: "vector", 2: "matrix"}
        size = " x ".join(d.name for d in self.dims)
        return f"{self.word} {kinds.get(len(self.dims), 'array')}" + (f" ({size})" if size else "") + (", held" if self.held else "")

    @property
    def discrete(self) -> bool:
        """Whether points are isolated from each other: labels, signs."""
        return False

    @property
    def latex(self) -> str:
        """The set, in TeX."""
        return rf"\mathbb{{R}}^{{{self._size}}}" if self.dims else r"\mathbb{R}"

    @property
    def _size(self) -> str:
        return r" \times ".join(d.name for d in self.dims)

    def shape(self, sizes: Mapping[str, int]) -> tuple[int, ...]:
        """The shape of a point under the given sizes."""
        return tuple(d.length(sizes) for d in self.dims)

    def admits(self, sizes: Mapping[str, int]) -> bool:
        """Whether points of these sizes exist."""
        return all(d.length(sizes) >= max(d.least, self.least) for d in self.dims)

    # --- points and tangents: what subclasses override ----------------------------------------------------------------------

    def point(self, noise: Any, spread: float = 1.0) -> Any:
        """A point made of noise of the point's shape; `spread` asks for a condition number where there is such a thing."""
        del spread
        return self.scale * noise

    def tangent(self, point: Any, noise: Any) -> Any:
        """A tangent at the point: the noise, projected on the tangent space (an orthogonal projection).

        Both may be stacks, whose leading axes broadcast.
        """
        del point
        return noise

    def reach(self, point: Any, tangent: Any) -> float:
        """How far one may go from the point along plus or minus the tangent without leaving the domain."""
        del point, tangent
        return FAR

    def rational(self, noise: Any) -> Any:
        """A point made of noise by ring operations and division alone, so that it is exact where the noise is.

        Noise with a tangent (dual numbers) gives a point with its tangent. Such points are dense in the domain, or in an open
        part of it. Labels and signs have none: their points are constants.
        """
        return self.scale * noise

    # --- special points -----------------------------------------------------------------------------------------------------

    def allows(self, entry: float) -> bool:
        """Whether any entries may be this number, whatever the others are."""
        del entry
        return type(self) is Domain

    def special(self, noise: Any) -> dict[str, Any]:
        """Points that random ones never are, made of noise of a point's shape, by what is special about them.

        Which ones there are depends on the shape alone. The scale of points is left to `scaled`.
        """
        x = self.point(noise)
        if not x.ndim:
            return {"zero": zeros_like(noise), "negative zero": -zeros_like(noise), "an integer": self.scale * (2 + 0 * noise)}
        kinds = {**_entries(x), **_zeros(x)}
        if x.ndim == 2:
            kinds |= {name: self.scale * A for name, A in _matrices(noise, square=self._square).items()}
        return kinds

    @property
    def _square(self) -> bool:
        """Whether points are matrices with as many rows as columns at every size."""
        return len(self.dims) == 2 and self.dims[0].name == self.dims[1].name


def _entrywise_reach(distance: Any, tangent: Any) -> float:
    """The first entry to cover its distance to the edge."""
    if 0 in distance.shape:
        return FAR
    speed = absolute(tangent)
    return float(smallest(choose(speed > 0, distance / choose(speed > 0, speed, 1.0), FAR)))


def _reach(distance: Any, tangent: Any) -> float:
    """How many times a tangent fits into a distance, both in the Frobenius norm (which bounds the spectral norm)."""
    speed = float(norm(tangent))
    return float(distance) / speed if speed > 0 else FAR


def _singular_values(n: int, spread: float, like_: Any) -> Any:
    """N numbers from 1 down to 1/spread in equal ratios, or mildly uneven around 1 where no spread is asked for."""
    ramp = total(tril(eye(n, like_) * 0 + 1), axis=1) - 1  # 0, 1, ..., n-1
    fraction = ramp / max(n - 1, 1)
    return spread**-fraction if spread > 1 else 1.5 - 0.75 * fraction


def _any_size(noise: Any) -> Any:
    """A positive number that varies with the noise: the size of a matrix whose singular values are prescribed."""
    return exp(mean(noise) / 2)


# --- what is special about a point --------------------------------------------------------------------------------------------


def _flat(x: Any) -> Any:
    """The entries as a vector."""
    return reshape(x, (-1,))


def _first(x: Any, *entries: Any) -> Any:
    """An array with other first entries."""
    flat = _flat(x)
    return reshape(concat([*(reshape(e, (1,)) for e in entries), flat[len(entries) :]]), x.shape)


def _ranks(x: Any) -> Any:
    """Integers from 0 in the order of the entries."""
    return reshape(_flat(x) * 0 + argsort(argsort(_flat(x))), x.shape)


def _entries(x: Any) -> dict[str, Any]:
    """Entries that are equal: the largest ones, all of them, equal rows, equal columns."""
    flat = _flat(x)
    if flat.shape[0] < 2:
        return {}
    top = 1.5 * largest(absolute(flat))
    kinds = {"the largest entries equal": _first(x, top, top), "all entries equal": 0 * x + top}
    if x.ndim == 2 and x.shape[0] > 1:
        kinds["equal rows"] = concat([x[:1, :], x[:1, :], x[2:, :]])
    if x.ndim == 2 and x.shape[1] > 1:
        kinds["equal columns"] = concat([x[:, :1], x[:, :1], x[:, 2:]], axis=1)
    return kinds


def _signs(x: Any) -> dict[str, Any]:
    """Entries of both signs: equal in magnitude, or integers without zero."""
    flat = _flat(x)
    if flat.shape[0] < 2:
        return {}
    top = largest(absolute(flat))
    whole = (1 + _ranks(x)) * choose(x < 0, -ones_like(x), 1.0)
    return {"the largest magnitudes equal": _first(x, top, -top), "integers": whole}


def _zeros(x: Any) -> dict[str, Any]:
    """Zeros: all entries, one, two, negative ones."""
    flat = _flat(x)
    count = flat.shape[0]
    if not count:
        return {}
    nothing = zeros_like(flat[0])
    kinds = {"zero": zeros_like(x), "negative zeros": -zeros_like(x)}
    if count > 1:
        kinds |= {"one exact zero": _first(x, nothing), "integers and a zero": _ranks(x) - count // 2}
        kinds["the largest magnitudes equal"] = _signs(x)["the largest magnitudes equal"]
    if count > 2:
        kinds["two exact zeros"] = _first(x, nothing, nothing)
    return kinds


def _ladders(n: int, like_: Any) -> dict[str, Any]:
    """Special sets of n positive numbers, from the largest down."""
    if not n:
        return {}
    s = _singular_values(n, 1.0, like_)
    if n == 1:
        return {"condition 1": s}
    close = concat([s[:1], s[:1] * (1 - 1e-8), s[2:]])
    kinds = {"condition 1": 0 * s + 1, "repeated {}": concat([s[:1], s[:-1]]), "{} 1e-8 apart": close}
    return kinds | {f"condition 1e{k}": _singular_values(n, 10.0**k, like_) for k in (4, 8, 12)}


def _matrices(noise: Any, *, square: bool) -> dict[str, Any]:
    """Matrices of less than full rank; square ones of every structure too."""
    rows, columns = noise.shape
    least = min(rows, columns)
    if least < 2:
        return {}
    U, s, Vt = thin_svd(noise)
    kinds = {"rank 1 less than full": (U * (s * _before_last(least, 1, noise))) @ Vt}
    if least > 2:
        kinds["rank 2 less than full"] = (U * (s * _before_last(least, 2, noise))) @ Vt
    if square:
        ladder = {name.format("eigenvalues"): lam for name, lam in _ladders(rows, noise).items()}
        kinds |= _of_both_signs(noise) | _plain(noise)
        kinds["repeated eigenvalues"] = (U * ladder["repeated eigenvalues"]) @ U.mT
        kinds["repeated singular values"] = (U * ladder["repeated eigenvalues"]) @ Vt
        kinds["singular values 1e-8 apart"] = (U * ladder["eigenvalues 1e-8 apart"]) @ Vt
        kinds |= {name: (U * ladder[name]) @ Vt for name in ("condition 1e4", "condition 1e8")}
        kinds["defective"] = eye(rows, noise) + eye(rows, noise, offset=1)
        kinds["skew-symmetric"] = skew(noise)
    return kinds


def _before_last(n: int, count: int, like_: Any) -> Any:
    """Ones, then so many zeros."""
    return concat([ones_like(like_[0, : n - count]), 0 * like_[0, :count]]) if count else ones_like(like_[0, :n])


def _plain(noise: Any) -> dict[str, Any]:
    """Square matrices of a simple structure, of full rank."""
    n = noise.shape[0]
    identity = eye(n, noise)
    d = 1 + _ranks(diagonal(noise))
    return {"identity": identity, "diagonal": d[:, None] * identity, "symmetric": sym(noise) + n * identity}


def _of_both_signs(A: Any) -> dict[str, Any]:
    """A square matrix with positive and with negative determinant."""
    mirrored = concat([-A[:1, :], A[1:, :]])
    positive_, negative = (A, mirrored) if float(det(A)) > 0 else (mirrored, A)
    return {"positive determinant": positive_, "negative determinant": negative}


def _spectra(noise: Any) -> dict[str, Any]:
    """Positive definite matrices with special eigenvalues."""
    V = eigh(sym(noise))[1]
    return {name.format("eigenvalues"): sym((V * lam) @ V.mT) for name, lam in _ladders(noise.shape[0], noise).items()}


def _diagonals(noise: Any) -> dict[str, Any]:
    """Diagonal matrices with positive diagonals: distinct numbers, ones."""
    identity = eye(noise.shape[0], noise)
    d = 1 + _ranks(diagonal(noise))
    return {"diagonal": d[:, None] * identity, "identity": identity}


@dataclass(frozen=True)
class Positive(Domain):
    """Arrays with positive entries."""

    word: ClassVar[str] = "positive"

    @property
    def latex(self) -> str:
        return rf"\mathbb{{R}}_{{>0}}^{{{self._size}}}" if self.dims else r"\mathbb{R}_{>0}"

    def point(self, noise: Any, spread: float = 1.0) -> Any:
        del spread
        return self.scale * (0.25 + absolute(noise))

    def reach(self, point: Any, tangent: Any) -> float:
        return _entrywise_reach(point, tangent)

    def allows(self, entry: float) -> bool:
        return entry > 0

    def special(self, noise: Any) -> dict[str, Any]:
        x = self.point(noise)
        if not x.ndim:
            return {"one": self.scale * ones_like(x)}
        kinds = _entries(x)
        if 0 not in x.shape:
            small = 0 * _flat(x)[0] + self.scale
            kinds |= {"an entry of 1e-6": _first(x, 1e-6 * small), "an entry of 1e6": _first(x, 1e6 * small)}
            kinds["integers"] = self.scale * (1 + _ranks(x))
        return kinds

    def rational(self, noise: Any) -> Any:
        return self.scale * (noise * noise + 0.5) ** 2  # a square, so that its root is rational too


@dataclass(frozen=True)
class Nonzero(Domain):
    """Arrays without zero entries: both signs, and a kink or a pole at 0."""

    word: ClassVar[str] = "nonzero"

    @property
    def latex(self) -> str:
        return rf"(\mathbb{{R}} \setminus 0)^{{{self._size}}}" if self.dims else r"\mathbb{R} \setminus 0"

    def point(self, noise: Any, spread: float = 1.0) -> Any:
        del spread
        return self.scale * (noise + choose(noise < 0, -0.25 * ones_like(noise), 0.25))

    def reach(self, point: Any, tangent: Any) -> float:
        return _entrywise_reach(absolute(point), tangent)

    def allows(self, entry: float) -> bool:
        return entry != 0

    def special(self, noise: Any) -> dict[str, Any]:
        x = self.point(noise)
        if not x.ndim:
            return {"negative": -absolute(x), "an integer": self.scale * (2 + 0 * x)}
        kinds = {**_entries(x), **_signs(x)}
        if 0 not in x.shape:
            kinds |= {"an entry of 1e-6": _first(x, 0 * _flat(x)[0] + 1e-6 * self.scale), "all negative": -absolute(x)}
        return kinds


@dataclass(frozen=True)
class Punctured(Domain):
    """Arrays other than zero: a single entry that is not zero is enough."""

    word: ClassVar[str] = "non-null"

    @property
    def latex(self) -> str:
        return rf"\mathbb{{R}}^{{{self._size}}} \setminus 0"

    def point(self, noise: Any, spread: float = 1.0) -> Any:
        del spread
        length = norm(noise)
        if length == 0:
            return self.scale * ones_like(noise) / 4
        return self.scale * (noise + noise / (4 * length))

    def reach(self, point: Any, tangent: Any) -> float:
        return _reach(norm(point), tangent)

    def allows(self, entry: float) -> bool:
        return entry != 0

    def special(self, noise: Any) -> dict[str, Any]:
        x = self.point(noise)
        kinds = {name: y for name, y in {**_entries(x), **_zeros(x), **_signs(x)}.items() if name not in {"zero", "negative zeros"}}
        if 0 not in x.shape:
            kinds["a single entry that is not zero"] = _first(0 * x, 0 * _flat(x)[0] - self.scale)
        return kinds


@dataclass(frozen=True)
class Interval(Domain):
    """Arrays with entries strictly between two numbers."""

    low: float = 0.0
    high: float = 1.0

    word: ClassVar[str] = "bounded"

    @property
    def latex(self) -> str:
        return f"({self.low:g}, {self.high:g})" + (f"^{{{self._size}}}" if self.dims else "")

    def point(self, noise: Any, spread: float = 1.0) -> Any:
        del spread
        return self.low + (self.high - self.low) * sigmoid(noise)

    def reach(self, point: Any, tangent: Any) -> float:
        low, high = point - self.low, self.high - point
        return _entrywise_reach(choose(low < high, low, high), tangent)

    def allows(self, entry: float) -> bool:
        return self.low < entry < self.high

    def special(self, noise: Any) -> dict[str, Any]:
        x, width = self.point(noise), self.high - self.low
        if 0 in x.shape:
            return {}
        kinds = {"near the lower end": self.low + 1e-6 * width, "near the upper end": self.high - 1e-6 * width}
        kinds["the middle"] = (self.low + self.high) / 2
        if self.low // 1 + 1 < self.high:
            kinds["an integer"] = self.low // 1 + 1
        return {name: 0 * x + y if not x.ndim or name == "the middle" else _first(x, 0 * _flat(x)[0] + y) for name, y in kinds.items()}

    def rational(self, noise: Any) -> Any:
        square = noise * noise
        return self.low + (self.high - self.low) * (square / (1 + square))


@dataclass(frozen=True)
class Distinct(Domain):
    """Vectors whose entries differ from each other: no ties."""

    word: ClassVar[str] = "tie-free"

    @property
    def latex(self) -> str:
        return rf"\{{x \in \mathbb{{R}}^{{{self._size}}} : x_i \ne x_j\}}"

    def point(self, noise: Any, spread: float = 1.0) -> Any:
        del spread
        ranks = noise * 0 + argsort(argsort(noise))
        return self.scale * (noise + 0.5 * ranks)

    def reach(self, point: Any, tangent: Any) -> float:
        n = point.shape[-1]
        gap = absolute(point[:, None] - point[None, :]) + 1e9 * eye(n, point)
        return _entrywise_reach(gap, tangent[:, None] - tangent[None, :])

    def special(self, noise: Any) -> dict[str, Any]:
        x = self.point(noise)
        whole = _ranks(x)
        if x.shape[-1] < 2:
            return {}
        kinds = {f"entries 1e-{k} apart": self.scale * choose(whole == 1, 10.0**-k + 0 * x, whole) for k in (4, 8)}
        return kinds | {"integers and a zero": self.scale * (whole - x.shape[-1] // 2)}


@dataclass(frozen=True)
class Simplex(Domain):
    """Vectors of positive weights that sum to one (along the last axis)."""

    word: ClassVar[str] = "probability"
    least: ClassVar[int] = 1

    @property
    def latex(self) -> str:
        return rf"\Delta^{{{self._size}}}"

    def point(self, noise: Any, spread: float = 1.0) -> Any:
        del spread
        weights = exp(noise)
        return weights / total(weights, axis=-1, keepdims=True)

    def tangent(self, point: Any, noise: Any) -> Any:
        del point
        return noise - mean(noise, axis=-1, keepdims=True)

    def reach(self, point: Any, tangent: Any) -> float:
        return _entrywise_reach(point, tangent)

    def special(self, noise: Any) -> dict[str, Any]:
        x = self.point(noise)
        if x.shape[-1] < 2:
            return {}
        small = choose(_ranks(0 * x) % x.shape[-1] == 0, 1e-6 + 0 * x, 1.0)
        kinds = {"uniform": 0 * x + 1.0, "one weight near 0": small * x, "one weight near 1": 1 / small}
        return {name: w / total(w, axis=-1, keepdims=True) for name, w in kinds.items()}

    def rational(self, noise: Any) -> Any:
        square = noise * noise
        return square / total(square, axis=-1, keepdims=True)


@dataclass(frozen=True)
class OneHot(Domain):
    """Class labels as vectors with a single one (along the last axis)."""

    word: ClassVar[str] = "one-hot"
    least: ClassVar[int] = 1

    @property
    def discrete(self) -> bool:
        return True

    @property
    def latex(self) -> str:
        return rf"\{{0,1\}}^{{{self._size}}},\ \mathbf{{1}}^\top y = 1"

    def point(self, noise: Any, spread: float = 1.0) -> Any:
        del spread
        order = argsort(argsort(noise)) if noise.ndim == 1 else noise.argsort(axis=-1).argsort(axis=-1)
        return noise * 0 + (order == noise.shape[-1] - 1)

    def special(self, noise: Any) -> dict[str, Any]:
        if 0 in noise.shape:
            return {}
        return {"the first class": self.point(-_ranks(0 * noise)), "the last class": self.point(_ranks(0 * noise))}


@dataclass(frozen=True)
class Signs(Domain):
    """Arrays of -1 and 1."""

    word: ClassVar[str] = "sign"

    @property
    def discrete(self) -> bool:
        return True

    @property
    def latex(self) -> str:
        return rf"\{{-1,1\}}^{{{self._size}}}" if self.dims else r"\{-1,1\}"

    def point(self, noise: Any, spread: float = 1.0) -> Any:
        del spread
        return choose(noise < 0, -ones_like(noise), 1.0)

    def special(self, noise: Any) -> dict[str, Any]:
        return {} if 0 in noise.shape else {"all positive": ones_like(noise), "all negative": -ones_like(noise)}


@dataclass(frozen=True)
class Symmetric(Domain):
    """Symmetric matrices; tangents are symmetric, gradients are given in the ambient space."""

    word: ClassVar[str] = "symmetric"

    @property
    def latex(self) -> str:
        return rf"\mathbb{{S}}^{{{self.dims[0].name}}}"

    def point(self, noise: Any, spread: float = 1.0) -> Any:
        del spread
        return self.scale * sym(noise)

    def tangent(self, point: Any, noise: Any) -> Any:
        del point
        return sym(noise)

    def special(self, noise: Any) -> dict[str, Any]:
        if 0 in noise.shape:
            return {}
        n, V = noise.shape[0], eigh(sym(noise))[1]
        d = _singular_values(n, 1.0, noise)
        kinds = {"zero": zeros_like(noise), "negative zeros": -zeros_like(noise), "negative definite": -_spectra(noise)["condition 1"]}
        if n > 1:
            kinds |= _diagonals(noise) | {"all entries equal": 0 * noise + 1}
            kinds |= {name: A for name, A in _spectra(noise).items() if "condition" not in name}
            kinds["rank 1 less than full"] = sym((V * (d * _before_last(n, 1, noise))) @ V.mT)
        if n > 2:
            kinds["rank 2 less than full"] = sym((V * (d * _before_last(n, 2, noise))) @ V.mT)
        return {name: self.scale * A for name, A in kinds.items()}

    def rational(self, noise: Any) -> Any:
        return self.scale * sym(noise)


@dataclass(frozen=True)
class SimpleSpectrum(Symmetric):
    """Symmetric matrices whose eigenvalues differ from each other."""

    word: ClassVar[str] = "simple-spectrum symmetric"

    @property
    def latex(self) -> str:
        return rf"\{{S \in \mathbb{{S}}^{{{self.dims[0].name}}} : \lambda_i \ne \lambda_j\}}"

    def point(self, noise: Any, spread: float = 1.0) -> Any:
        lam, V = eigh(sym(noise))
        if spread > 1 and lam.shape[0] > 1:
            lam = lam * 0 - 1 + 2 * _singular_values(lam.shape[0], spread, noise)  # two eigenvalues close to each other
        else:
            lam = lam + 0.5 * Distinct(self.dims).point(0 * lam)
        return self.scale * sym((V * lam) @ V.mT)

    def reach(self, point: Any, tangent: Any) -> float:
        lam = eigh(point)[0]
        if lam.shape[0] < 2:
            return FAR
        return _reach(smallest(lam[1:] - lam[:-1]) / 2, tangent)

    def special(self, noise: Any) -> dict[str, Any]:
        n = noise.shape[0] if 0 not in noise.shape else 0
        if n < 2:
            return {"zero": zeros_like(noise)} if n else {}
        V = eigh(sym(noise))[1]
        lam = 1 + _ranks(diagonal(noise) * 0)
        spectra = {
            "eigenvalues 1e-4 apart": concat([lam[:1], lam[:1] * (1 + 1e-4), lam[2:]]),
            "eigenvalues 1e-8 apart": concat([lam[:1], lam[:1] * (1 + 1e-8), lam[2:]]),
            "an eigenvalue zero": lam - 1,
            "opposite eigenvalues": concat([-lam[1:2], lam[1:]]),
            "negative definite": -lam,
        }
        kinds = {name: sym((V * mu) @ V.mT) for name, mu in spectra.items()} | {"diagonal": _diagonals(noise)["diagonal"]}
        return {name: self.scale * S for name, S in kinds.items()}


@dataclass(frozen=True)
class PositiveDefinite(Symmetric):
    """Symmetric positive definite matrices."""

    word: ClassVar[str] = "positive definite"

    @property
    def latex(self) -> str:
        return rf"\mathbb{{S}}_{{++}}^{{{self.dims[0].name}}}"

    def point(self, noise: Any, spread: float = 1.0) -> Any:
        if 0 in noise.shape:
            return noise
        V = eigh(sym(noise))[1]
        return self.scale * _any_size(noise) * sym((V * _singular_values(noise.shape[0], spread, noise)) @ V.mT)

    def reach(self, point: Any, tangent: Any) -> float:
        if 0 in point.shape:
            return FAR
        return _reach(eigh(point)[0][0], tangent)

    def special(self, noise: Any) -> dict[str, Any]:
        if 0 in noise.shape:
            return {}
        return {name: self.scale * K for name, K in {**_spectra(noise), **_diagonals(noise)}.items()}

    def rational(self, noise: Any) -> Any:
        L = LowerTriangular(self.dims).rational(noise)
        return self.scale * L @ L.mT


@dataclass(frozen=True)
class FullRank(Domain):
    """Matrices of full rank: square and invertible, tall with independent columns, or wide with independent rows."""

    word: ClassVar[str] = "full-rank"

    @property
    def latex(self) -> str:
        if len({d.name for d in self.dims}) == 1:
            return rf"GL({self.dims[0].name})"
        return rf"\mathbb{{R}}^{{{self._size}}}_{{\text{{full rank}}}}"

    def point(self, noise: Any, spread: float = 1.0) -> Any:
        if 0 in noise.shape:
            return noise
        U, s, Vt = thin_svd(noise)
        return self.scale * _any_size(noise) * (U * _singular_values(s.shape[0], spread, noise)) @ Vt

    def reach(self, point: Any, tangent: Any) -> float:
        if 0 in point.shape:
            return FAR
        return _reach(thin_svd(point)[1][-1], tangent)

    def special(self, noise: Any) -> dict[str, Any]:
        if 0 in noise.shape:
            return {}
        U, s, Vt = thin_svd(noise)
        ladders = {name.format("singular values"): (U * ladder) @ Vt for name, ladder in _ladders(s.shape[0], noise).items()}
        kinds = {**ladders, "ones on the diagonal": eye(noise.shape[0], noise, noise.shape[1])}
        if self._square:
            kinds |= (
                _of_both_signs(self.point(noise)) | _plain(noise) | {"ones on the other diagonal": flip(kinds["ones on the diagonal"], 0)}
            )
        return {name: self.scale * A for name, A in kinds.items()}


@dataclass(frozen=True)
class Tall(FullRank):
    """Matrices with independent columns: at least as many rows as columns."""

    word: ClassVar[str] = "full-column-rank"

    def admits(self, sizes: Mapping[str, int]) -> bool:
        rows, columns = self.shape(sizes)
        return super().admits(sizes) and rows >= columns


@dataclass(frozen=True)
class DistinctSingularValues(FullRank):
    """Full-rank matrices whose singular values differ from each other."""

    word: ClassVar[str] = "simple-spectrum full-rank"

    @property
    def latex(self) -> str:
        return rf"\{{A \in \mathbb{{R}}^{{{self._size}}} : \sigma_i \ne \sigma_j, \sigma_i > 0\}}"

    def reach(self, point: Any, tangent: Any) -> float:
        if 0 in point.shape:
            return FAR
        s = thin_svd(point)[1]
        gap = smallest(s[:-1] - s[1:]) / 2 if s.shape[0] > 1 else s[-1]
        return _reach(min(gap, s[-1]), tangent)

    def special(self, noise: Any) -> dict[str, Any]:
        kinds = super().special(noise)
        for name in ("condition 1", "repeated singular values", "ones on the diagonal", "ones on the other diagonal", "identity"):
            kinds.pop(name, None)
        if min(noise.shape) > 1:
            U, s, Vt = thin_svd(noise)
            close = concat([s[:1], s[:1] * (1 - 1e-4), _singular_values(s.shape[0], 1.0, noise)[2:] * s[:1]])
            kinds["singular values 1e-4 apart"] = self.scale * (U * close) @ Vt
        return kinds


@dataclass(frozen=True)
class LowerTriangular(Domain):
    """Lower triangular matrices with positive diagonal; what stands above the diagonal is zero and is not read."""

    word: ClassVar[str] = "lower triangular"
    tangent_only: ClassVar[bool] = True

    @property
    def latex(self) -> str:
        return rf"\mathbb{{L}}_{{+}}^{{{self.dims[0].name}}}"

    def point(self, noise: Any, spread: float = 1.0) -> Any:
        d = diagonal(noise)
        positive = (0.5 + absolute(d)) * (_singular_values(d.shape[0], spread, noise) if spread > 1 else 1)
        return self.scale * (tril(noise, -1) / 2 + positive[:, None] * eye(noise.shape[0], noise))

    def tangent(self, point: Any, noise: Any) -> Any:
        del point
        return tril(noise)

    def reach(self, point: Any, tangent: Any) -> float:
        return _entrywise_reach(diagonal(point), diagonal(tangent))

    def special(self, noise: Any) -> dict[str, Any]:
        n = noise.shape[0]
        if n < 2:
            return {"identity": self.scale * eye(n, noise)} if n else {}
        kinds = {**_diagonals(noise), "ones on the diagonal": tril(noise, -1) + eye(n, noise)}
        kinds |= {f"condition 1e{k}": self.point(noise, 10.0**k) / self.scale for k in (4, 8, 12)}
        return {name: self.scale * L for name, L in kinds.items()}

    def rational(self, noise: Any) -> Any:
        d = diagonal(noise)
        return self.scale * (tril(noise, -1) + (d * d + 0.25)[:, None] * eye(noise.shape[0], noise))


@dataclass(frozen=True)
class UpperTriangular(LowerTriangular):
    """Upper triangular matrices with positive diagonal; what stands below the diagonal is zero and is not read."""

    word: ClassVar[str] = "upper triangular"

    @property
    def latex(self) -> str:
        return rf"\mathbb{{U}}_{{+}}^{{{self.dims[0].name}}}"

    def point(self, noise: Any, spread: float = 1.0) -> Any:
        return super().point(noise.mT, spread).mT

    def tangent(self, point: Any, noise: Any) -> Any:
        del point
        return triu(noise)

    def special(self, noise: Any) -> dict[str, Any]:
        kinds = LowerTriangular(self.dims, scale=self.scale).special(noise.mT)
        return {name: L.mT for name, L in kinds.items()}

    def rational(self, noise: Any) -> Any:
        return super().rational(noise.mT).mT


@dataclass(frozen=True)
class Skew(Domain):
    """Skew-symmetric matrices."""

    word: ClassVar[str] = "skew-symmetric"

    @property
    def latex(self) -> str:
        return rf"\mathfrak{{so}}({self.dims[0].name})"

    def point(self, noise: Any, spread: float = 1.0) -> Any:
        del spread
        return self.scale * skew(noise)

    def tangent(self, point: Any, noise: Any) -> Any:
        del point
        return skew(noise)

    def special(self, noise: Any) -> dict[str, Any]:
        return {} if 0 in noise.shape else {"zero": zeros_like(noise), "negative zeros": -zeros_like(noise)}

    def rational(self, noise: Any) -> Any:
        return self.scale * skew(noise)


@dataclass(frozen=True)
class Orthonormal(Domain):
    """Matrices with orthonormal columns (the Stiefel manifold); tangents satisfy Qᵀ dQ + dQᵀ Q = 0."""

    word: ClassVar[str] = "orthonormal"

    @property
    def latex(self) -> str:
        return rf"\mathrm{{St}}({', '.join(d.name for d in reversed(self.dims))})"

    def admits(self, sizes: Mapping[str, int]) -> bool:
        rows, columns = self.shape(sizes)
        return super().admits(sizes) and rows >= columns

    def point(self, noise: Any, spread: float = 1.0) -> Any:
        del spread
        return qr(noise + eye(noise.shape[0], noise, noise.shape[1]) / 4)[0]

    def tangent(self, point: Any, noise: Any) -> Any:
        return noise - point @ sym(point.mT @ noise)

    def special(self, noise: Any) -> dict[str, Any]:
        if 0 in noise.shape:
            return {}
        Q = eye(noise.shape[0], noise, noise.shape[1])
        return {"ones on the diagonal": Q, "minus ones on the diagonal": -Q, "ones on the other diagonal": flip(Q, 0)}

    def rational(self, noise: Any) -> Any:
        rows, columns = noise.shape
        S = skew(concat([noise, zeros((rows, rows - columns), noise)], axis=1))
        I = eye(rows, noise)
        return solve(I + S, I - S)[:, :columns]  # Cayley's transform of a skew-symmetric matrix


@dataclass(frozen=True)
class DominantColumns(Domain):
    """Square matrices whose diagonal entries are larger than the rest of their column, in sum of magnitudes; of both signs."""

    word: ClassVar[str] = "column diagonally dominant"

    @property
    def latex(self) -> str:
        return rf"\{{A \in \mathbb{{R}}^{{{self._size}}} : |a_{{jj}}| > \sum_{{i \ne j}} |a_{{ij}}|\}}"

    def point(self, noise: Any, spread: float = 1.0) -> Any:
        del spread
        d = diagonal(noise)
        identity = eye(noise.shape[0], noise)
        others = total(absolute(noise * (1 - identity)), axis=0)
        return self.scale * (noise + (others + 0.25) * choose(d < 0, -ones_like(d), 1.0) * identity)

    def reach(self, point: Any, tangent: Any) -> float:
        excess = 2 * absolute(diagonal(point)) - total(absolute(point), axis=0)
        return _entrywise_reach(excess, total(absolute(tangent), axis=0))

    def special(self, noise: Any) -> dict[str, Any]:
        if 0 in noise.shape:
            return {}
        identity = eye(noise.shape[0], noise)
        barely = noise * (1 - identity) + (total(absolute(noise * (1 - identity)), axis=0) + 1e-4) * identity
        kinds = {"identity": identity, "minus identity": -identity, "barely dominant": barely, **_diagonals(noise)}
        return {name: self.scale * A for name, A in kinds.items()}

    def rational(self, noise: Any) -> Any:
        d = diagonal(noise)
        identity = eye(noise.shape[0], noise)
        others = total((1 + noise * noise) * (1 - identity), axis=0)  # at least twice their magnitudes
        return self.scale * (noise * (1 - identity) + (d + 1 / d) * (1 + others) * identity)  # |d + 1/d| is at least 2


@dataclass(frozen=True)
class RealSpectrum(Domain):
    """Square matrices, not symmetric in general, whose eigenvalues are real and differ from each other."""

    word: ClassVar[str] = "real-spectrum"

    @property
    def latex(self) -> str:
        return rf"\{{A \in \mathbb{{R}}^{{{self._size}}} : \lambda_i \in \mathbb{{R}}, \lambda_i \ne \lambda_j\}}"

    def point(self, noise: Any, spread: float = 1.0) -> Any:
        del spread
        V = eye(noise.shape[0], noise) + Contraction(self.dims).point(noise)
        lam = Distinct(self.dims).point(diagonal(noise))
        return self.scale * (V * lam) @ inv(V)

    def reach(self, point: Any, tangent: Any) -> float:
        lam, V = eig_real(point)
        if lam.shape[0] < 2:
            return FAR
        s = thin_svd(V)[1]  # no eigenvalue moves farther than the condition number of V times the change (Bauer and Fike)
        return _reach(smallest(lam[1:] - lam[:-1]) * s[-1] / (2 * s[0]), tangent)

    def special(self, noise: Any) -> dict[str, Any]:
        n = noise.shape[0]
        if n < 2:
            return {"zero": zeros_like(noise)} if n else {}
        V = eye(n, noise) + Contraction(self.dims).point(noise)
        lam = 1 + _ranks(diagonal(noise) * 0)
        spectra = {"eigenvalues 1e-4 apart": concat([lam[:1], lam[:1] * (1 + 1e-4), lam[2:]]), "an eigenvalue zero": lam - 1}
        spectra["eigenvalues -1, 0, 1, ..."] = lam - 2
        kinds = {name: (V * mu) @ inv(V) for name, mu in spectra.items()} | {"diagonal": _diagonals(noise)["diagonal"]}
        kinds |= {
            "triangular": triu(noise, 1) + lam * eye(n, noise),
            "symmetric": SimpleSpectrum(self.dims).special(noise)["an eigenvalue zero"],
        }
        return {name: self.scale * A for name, A in kinds.items()}

    def rational(self, noise: Any) -> Any:
        V = eye(noise.shape[0], noise) + Contraction(self.dims).rational(noise)
        return self.scale * (V * diagonal(noise)) @ inv(V)


@dataclass(frozen=True)
class Contraction(Domain):
    """Square matrices of spectral norm below one half: I - A is invertible and the Neumann series converges."""

    word: ClassVar[str] = "contracting"

    @property
    def latex(self) -> str:
        return rf"\{{A \in \mathbb{{R}}^{{{self._size}}} : \|A\|_2 < 1\}}"

    def point(self, noise: Any, spread: float = 1.0) -> Any:
        del spread
        return noise / (2 * (1 + norm(noise)))

    def reach(self, point: Any, tangent: Any) -> float:
        return _reach(1 - norm(point), tangent)

    def special(self, noise: Any) -> dict[str, Any]:
        if 0 in noise.shape:
            return {}
        kinds = {"zero": zeros_like(noise), "negative zeros": -zeros_like(noise)}
        if noise.shape[0] > 1:
            U, s, Vt = thin_svd(noise)
            ladder = _ladders(s.shape[0], noise)
            kinds |= {"nilpotent": self.point(triu(noise, 1)), "symmetric": self.point(sym(noise))}
            kinds |= {"of norm near one half": 0.499 * (U * ladder["condition 1"]) @ Vt}
            kinds["rank 1 less than full"] = self.point((U * (s * _before_last(s.shape[0], 1, noise))) @ Vt)
        return kinds

    def rational(self, noise: Any) -> Any:
        return noise / (2 * (1 + total(noise * noise)))


@dataclass(frozen=True, eq=False)
class Near(Domain):
    """The neighbourhood of one array: itself, and points a relative 1e-6 and 1e-3 away from it in every entry."""

    centre: Any = None

    word: ClassVar[str] = "given"
    __hash__ = object.__hash__

    def __eq__(self, other: object) -> bool:
        """Only itself: another array of the same shape is another neighbourhood."""
        return self is other

    @property
    def discrete(self) -> bool:
        """A held array of whole numbers stays as it is: they may be labels, counts or places."""
        return self.held and bool((self.centre // 1 == self.centre).all())

    @property
    def latex(self) -> str:
        return r"\text{near the given array}"

    def __str__(self) -> str:
        return f"near the given {super().__str__().removeprefix(self.word + ' ')}"

    def point(self, noise: Any, spread: float = 1.0) -> Any:
        if self.held:
            return self.centre
        return self.centre * (1 + (0.0 if spread == 1 else 1e-6 if spread > 10 else 1e-3) * noise)

    def special(self, noise: Any) -> dict[str, Any]:
        del noise
        return {"as it is given": self.centre}

    def reach(self, point: Any, tangent: Any) -> float:
        """The nearest place where a function of such an array may well cease to be analytic.

        Nothing is known of the function: an entry that changes its sign, a matrix that loses rank, eigenvalues that meet.
        """
        magnitude = choose(point == 0, FAR + absolute(point), absolute(point))
        reached = _entrywise_reach(magnitude, tangent)
        if point.ndim == 2 and 0 not in point.shape:
            s = thin_svd(point)[1]
            reached = min(reached, _reach(s[-1], tangent)) if s[-1] > 0 else reached
        return reached


# --- how a rule names them ---------------------------------------------------------------------------------------------------


def near(centre: Any) -> Domain:
    """The neighbourhood of a NumPy array; one of integers or truth values is held."""
    floating = is_floating(centre)
    dims = " ".join(str(length) for length in centre.shape)
    return Near(_dimensions(dims), held=not floating, centre=centre * 1.0 if floating else centre)


def held(domain: Any) -> Domain:
    """The same set, for an input that is not differentiated; an array stands for itself."""
    if isinstance(domain, Domain):
        return replace(domain, held=True)
    if is_array(domain):
        return replace(near(domain), held=True)
    raise TypeError(f'held takes a domain such as real("n") or an array, but a {type(domain).__name__} came')


def scaled(scale: float, domain: Domain) -> Domain:
    """The same set, its points drawn with entries of about this size."""
    return replace(domain, scale=scale)


def real(dims: str = "") -> Domain:
    """Real arrays: `real()` a number, `real("n")` a vector, `real("n p")` a matrix."""
    return Domain(_dimensions(dims))


def positive(dims: str = "") -> Domain:
    """Arrays with positive entries."""
    return Positive(_dimensions(dims))


def nonzero(dims: str = "") -> Domain:
    """Arrays without zero entries."""
    return Nonzero(_dimensions(dims))


def punctured(dims: str) -> Domain:
    """Arrays other than zero."""
    return Punctured(_dimensions(dims))


def interval(low: float, high: float, dims: str = "") -> Domain:
    """Arrays with entries strictly between `low` and `high`."""
    if not low < high:
        raise ValueError(f"an interval needs low < high, but low = {low} and high = {high} came")
    return Interval(_dimensions(dims), low=low, high=high)


def distinct(dims: str) -> Domain:
    """Vectors without ties."""
    return Distinct(_dimensions(dims))


def simplex(dims: str) -> Domain:
    """Probability vectors (rows of a matrix)."""
    return Simplex(_dimensions(dims))


def one_hot(dims: str) -> Domain:
    """Class labels as one-hot vectors (rows of a matrix)."""
    return OneHot(_dimensions(dims))


def signs(dims: str = "") -> Domain:
    """Arrays of -1 and 1."""
    return Signs(_dimensions(dims))


def symmetric(n: str) -> Domain:
    """Symmetric matrices."""
    return Symmetric(_square(n))


def simple_spectrum(n: str) -> Domain:
    """Symmetric matrices with distinct eigenvalues."""
    return SimpleSpectrum(_square(n))


def positive_definite(n: str) -> Domain:
    """Symmetric positive definite matrices."""
    return PositiveDefinite(_square(n))


def invertible(n: str) -> Domain:
    """Invertible square matrices, of both signs of the determinant."""
    return FullRank(_square(n))


def full_rank(dims: str) -> Domain:
    """Matrices of full rank, of any shape."""
    return FullRank(_dimensions(dims))


def tall(dims: str) -> Domain:
    """Matrices with independent columns."""
    return Tall(_dimensions(dims))


def distinct_singular_values(dims: str) -> Domain:
    """Full-rank matrices with distinct singular values."""
    return DistinctSingularValues(_dimensions(dims))


def lower_triangular(n: str) -> Domain:
    """Lower triangular matrices with positive diagonal."""
    return LowerTriangular(_square(n))


def upper_triangular(n: str) -> Domain:
    """Upper triangular matrices with positive diagonal."""
    return UpperTriangular(_square(n))


def skew_symmetric(n: str) -> Domain:
    """Skew-symmetric matrices."""
    return Skew(_square(n))


def orthonormal(dims: str) -> Domain:
    """Matrices with orthonormal columns."""
    return Orthonormal(_dimensions(dims))


def contraction(n: str) -> Domain:
    """Square matrices of spectral norm below one half."""
    return Contraction(_square(n))


def dominant_columns(n: str) -> Domain:
    """Matrices with strictly diagonally dominant columns."""
    return DominantColumns(_square(n))


def real_spectrum(n: str) -> Domain:
    """Matrices with real, distinct eigenvalues."""
    return RealSpectrum(_square(n))
