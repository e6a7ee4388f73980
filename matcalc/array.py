"""Words for arrays: everything a rule may say about one, on any array library.

Each word finds the library of its arguments and asks it (NumPy, JAX, PyTorch, or anything else that follows the Python array
API standard), so that one body of a rule runs on all of them, inside `jit` and `vmap` too.
Matrices are the last two axes; `X.mT` transposes them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from array_api_compat import array_namespace, is_array_api_obj, is_jax_array, is_numpy_array, is_torch_array

from matcalc import native

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class AnyArray(Protocol):
    """What every array offers without being asked through a word."""

    @property
    def shape(self) -> Any: ...
    @property
    def dtype(self) -> Any: ...
    @property
    def ndim(self) -> int: ...
    @property
    def mT(self) -> Any: ...  # noqa: N802  (the array standard's name)
    def __getitem__(self, key: Any, /) -> Any: ...
    def __neg__(self) -> Any: ...
    def __add__(self, other: Any, /) -> Any: ...
    def __radd__(self, other: Any, /) -> Any: ...
    def __sub__(self, other: Any, /) -> Any: ...
    def __rsub__(self, other: Any, /) -> Any: ...
    def __mul__(self, other: Any, /) -> Any: ...
    def __rmul__(self, other: Any, /) -> Any: ...
    def __truediv__(self, other: Any, /) -> Any: ...
    def __rtruediv__(self, other: Any, /) -> Any: ...
    def __pow__(self, other: Any, /) -> Any: ...
    def __matmul__(self, other: Any, /) -> Any: ...
    def __lt__(self, other: Any, /) -> Any: ...
    def __gt__(self, other: Any, /) -> Any: ...


Array = TypeVar("Array", bound=AnyArray)

BLOCK = 128
"Triangular matrices of more rows than this are worked on in halves."
PADE_13 = (
    64764752532480000.0, 32382376266240000.0, 7771770303897600.0, 1187353796428800.0, 129060195264000.0, 10559470521600.0,
    670442572800.0, 33522128640.0, 1323241920.0, 40840800.0, 960960.0, 16380.0, 182.0, 1.0,
)  # fmt: skip
"Coefficients of the [13/13] Padé approximant of exp."
PADE_13_REACH = 4.74
"The 1-norm up to which that approximant and its derivative are exact to 53 bits (Al-Mohy and Higham 2009)."

# --- what an array is -------------------------------------------------------------------------------------------------------


def is_array(x: object) -> bool:
    """Whether `x` is an array of a library matcalc can speak to (a list or a number is not)."""
    return is_array_api_obj(x)


def kind(x: object) -> str:
    """Name of the library of an array, for messages and reports: NumPy, JAX, PyTorch, or the module's own name."""
    if is_numpy_array(x):
        return "NumPy"
    if is_jax_array(x):
        return "JAX"
    if is_torch_array(x):
        return "PyTorch"
    return type(x).__module__.partition(".")[0]


def is_floating(x: AnyArray) -> bool:
    """Whether the entries are real floating-point numbers."""
    return bool(array_namespace(x).isdtype(x.dtype, "real floating"))


def like(number: Any, x: Array) -> Array:
    """`number` (or nested lists of numbers) as an array of the same library, dtype and device as `x`."""
    xp = array_namespace(x)
    if is_jax_array(x):
        return xp.asarray(number, dtype=x.dtype)  # a traced array has no device to name
    return xp.asarray(number, dtype=x.dtype, device=native.device(x))


def parts(value: Any) -> tuple[Any, ...]:
    """The arrays of a value: itself, or the parts of a tuple."""
    return tuple(value) if isinstance(value, tuple) else (value,)


def as_array(x: Array) -> Array:
    """NumPy's scalars (what its reductions return) as arrays without axes; any other array as it is."""
    result: Any = array_namespace(x).asarray(x) if is_numpy_array(x) else x
    return result


# --- making arrays ----------------------------------------------------------------------------------------------------------


def zeros_like(x: Array) -> Array:
    """Zeros with the shape of `x`."""
    return array_namespace(x).zeros_like(x)


def ones_like(x: Array) -> Array:
    """Ones with the shape of `x`."""
    return array_namespace(x).ones_like(x)


def zeros(shape: Sequence[int], like_: Array) -> Array:
    """Zeros of a given shape, of the library and dtype of `like_`."""
    return array_namespace(like_).zeros(tuple(shape), dtype=like_.dtype, **native.placement(like_))


def ones(shape: Sequence[int], like_: Array) -> Array:
    """Ones of a given shape, of the library and dtype of `like_`."""
    return array_namespace(like_).ones(tuple(shape), dtype=like_.dtype, **native.placement(like_))


def eye(n: int, like_: Array, columns: int | None = None, offset: int = 0) -> Array:
    """Identity (n x n, or n x columns, ones on the diagonal `offset`), of the library and dtype of `like_`."""
    return array_namespace(like_).eye(n, columns, k=offset, dtype=like_.dtype, **native.placement(like_))


def identity_like(x: Array) -> Array:
    """The identity with as many rows as the last axis of `x` is long."""
    return eye(x.shape[-1], x)


# --- entry by entry ---------------------------------------------------------------------------------------------------------


def exp(x: Array) -> Array:
    """Exponential of each entry."""
    return array_namespace(x).exp(x)


def expm1(x: Array) -> Array:
    """exp(x) - 1 of each entry, without cancellation near 0."""
    return array_namespace(x).expm1(x)


def log(x: Array) -> Array:
    """Natural logarithm of each entry."""
    return array_namespace(x).log(x)


def log1p(x: Array) -> Array:
    """log(1 + x) of each entry, without cancellation near 0."""
    return array_namespace(x).log1p(x)


def sqrt(x: Array) -> Array:
    """Square root of each entry."""
    return array_namespace(x).sqrt(x)


def sin(x: Array) -> Array:
    """Sine of each entry."""
    return array_namespace(x).sin(x)


def cos(x: Array) -> Array:
    """Cosine of each entry."""
    return array_namespace(x).cos(x)


def tan(x: Array) -> Array:
    """Tangent of each entry."""
    return array_namespace(x).tan(x)


def sinh(x: Array) -> Array:
    """Hyperbolic sine of each entry."""
    return array_namespace(x).sinh(x)


def cosh(x: Array) -> Array:
    """Hyperbolic cosine of each entry."""
    return array_namespace(x).cosh(x)


def tanh(x: Array) -> Array:
    """Hyperbolic tangent of each entry."""
    return array_namespace(x).tanh(x)


def arcsin(x: Array) -> Array:
    """Inverse sine of each entry."""
    return array_namespace(x).asin(x)


def arctan(x: Array) -> Array:
    """Inverse tangent of each entry."""
    return array_namespace(x).atan(x)


def arctan2(y: Array, x: Array) -> Array:
    """Angle of the point (x, y), entry by entry."""
    return array_namespace(y, x).atan2(y, x)


def erf(x: Array) -> Array:
    """Error function of each entry."""
    return native.erf(x)


def erfc(x: Array) -> Array:
    """1 - erf(x) of each entry, without cancellation where it is small."""
    return native.erfc(x)


def log_gamma(x: Array) -> Array:
    """Log |Gamma| of each entry."""
    return native.log_gamma(x)


def digamma(x: Array) -> Array:
    """Derivative of log Gamma of each entry."""
    return native.digamma(x)


def absolute(x: Array) -> Array:
    """Absolute value of each entry."""
    return array_namespace(x).abs(x)


def sign(x: Array) -> Array:
    """-1, 0 or 1: the sign of each entry."""
    return array_namespace(x).sign(x)


def maximum(x: Array, y: Any) -> Array:
    """The larger of two entries."""
    return array_namespace(x).maximum(x, y if is_array(y) else like(y, x))


def minimum(x: Array, y: Any) -> Array:
    """The smaller of two entries."""
    return array_namespace(x).minimum(x, y if is_array(y) else like(y, x))


def where(condition: Any, x: Array, y: Any) -> Array:
    """`x` where the condition holds, `y` elsewhere."""
    return array_namespace(x).where(condition, x, y if is_array(y) else like(y, x))


def step(condition: Any, x: Array) -> Array:
    """1 where the condition holds, 0 elsewhere, in the dtype of `x` (Iverson's bracket)."""
    return array_namespace(x).astype(condition, x.dtype)


def sigmoid(x: Array) -> Array:
    """Logistic function 1 / (1 + exp(-x)) of each entry, to full relative accuracy and without overflow."""
    return native.sigmoid(x)


def softplus(x: Array) -> Array:
    """log(1 + exp(x)) of each entry, without overflow."""
    return array_namespace(x).logaddexp(x, zeros_like(x))


# --- sums and extremes ------------------------------------------------------------------------------------------------------


def total(x: Array, axis: int | tuple[int, ...] | None = None, *, keepdims: bool = False) -> Array:
    """Sum of all entries, or along an axis."""
    return array_namespace(x).sum(x, axis=axis, keepdims=keepdims)


def mean(x: Array, axis: int | tuple[int, ...] | None = None, *, keepdims: bool = False) -> Array:
    """Mean of all entries, or along an axis."""
    return array_namespace(x).mean(x, axis=axis, keepdims=keepdims)


def largest(x: Array, axis: int | None = None, *, keepdims: bool = False) -> Array:
    """Largest entry, over all or along an axis."""
    return array_namespace(x).max(x, axis=axis, keepdims=keepdims)


def smallest(x: Array, axis: int | None = None, *, keepdims: bool = False) -> Array:
    """Smallest entry, over all or along an axis."""
    return array_namespace(x).min(x, axis=axis, keepdims=keepdims)


def product(x: Array, axis: int | None = None) -> Array:
    """Product of all entries, or along an axis."""
    return array_namespace(x).prod(x, axis=axis)


def cumulative_sum(x: Array) -> Array:
    """Partial sums of a vector."""
    return array_namespace(x).cumulative_sum(x)


def inner(x: Array, y: Array) -> Array:
    """Inner product of two arrays of one shape: the sum of products of entries, tr(XᵀY) for matrices."""
    if x.ndim == 1:
        return array_namespace(x, y).vecdot(x, y)
    return total(x * y)


def norm(x: Array) -> Array:
    """Euclidean (Frobenius) norm over all axes."""
    return array_namespace(x).linalg.vector_norm(x)


# --- shapes -----------------------------------------------------------------------------------------------------------------


def reshape(x: Array, shape: Sequence[int]) -> Array:
    """The same entries, row by row, in another shape."""
    return array_namespace(x).reshape(x, tuple(shape))


def permute(x: Array, axes: Sequence[int]) -> Array:
    """The axes in another order."""
    return array_namespace(x).permute_dims(x, tuple(axes))


def concat(parts: Sequence[Array], axis: int = 0) -> Array:
    """Arrays joined along an axis."""
    return array_namespace(*parts).concat(list(parts), axis=axis)


def stack(parts: Sequence[Array], axis: int = 0) -> Array:
    """Arrays of one shape side by side along a new axis."""
    return array_namespace(*parts).stack(list(parts), axis=axis)


def block(rows: Sequence[Sequence[Array]]) -> Array:
    """A matrix of blocks, given row by row."""
    return concat([concat(row, axis=-1) for row in rows], axis=-2)


def flip(x: Array, axis: int | None = None) -> Array:
    """The entries in reverse order along an axis."""
    return array_namespace(x).flip(x, axis=axis)


def roll(x: Array, shift: int, axis: int | None = None) -> Array:
    """The entries moved along an axis, those that fall off put back at the other end."""
    return array_namespace(x).roll(x, shift, axis=axis)


def argsort(x: AnyArray) -> Any:
    """The positions that put a vector in ascending order (equal entries keep theirs)."""
    return array_namespace(x).argsort(x)


def take(x: Array, positions: Any, axis: int = 0) -> Array:
    """The entries (rows, ...) at the given positions."""
    return array_namespace(x).take(x, positions, axis=axis)


# --- matrices ---------------------------------------------------------------------------------------------------------------


def trace(X: Array) -> Array:
    """Sum of the diagonal."""
    return array_namespace(X).linalg.trace(X)


def diagonal(X: Array) -> Array:
    """The diagonal of a matrix as a vector."""
    return array_namespace(X).linalg.diagonal(X)


def diag(x: Array) -> Array:
    """The diagonal matrix of a vector."""
    return x[..., :, None] * identity_like(x)


def outer(x: Array, y: Array) -> Array:
    """Outer product x yᵀ of two vectors."""
    return x[:, None] * y[None, :]


def tril(X: Array, offset: int = 0) -> Array:
    """The lower triangle, zeros above."""
    return array_namespace(X).tril(X, k=offset)


def triu(X: Array, offset: int = 0) -> Array:
    """The upper triangle, zeros below."""
    return array_namespace(X).triu(X, k=offset)


def sym(X: Array) -> Array:
    """Symmetric part (X + Xᵀ) / 2."""
    return (X + X.mT) / 2


def skew(X: Array) -> Array:
    """Skew-symmetric part (X - Xᵀ) / 2."""
    return (X - X.mT) / 2


def kron(A: Array, B: Array) -> Array:
    """Kronecker product: block (i, j) is A_ij B."""
    (m, n), (p, q) = A.shape, B.shape
    return reshape(A[:, None, :, None] * B[None, :, None, :], (m * p, n * q))


def det(X: Array) -> Array:
    """Determinant."""
    return array_namespace(X).linalg.det(X)


def log_abs_det(X: Array) -> Array:
    """Log |det X| of an invertible matrix."""
    return array_namespace(X).linalg.slogdet(X)[1]


def inv(X: Array) -> Array:
    """Inverse of an invertible matrix."""
    return array_namespace(X).linalg.inv(X)


def solve(A: Array, B: Array) -> Array:
    """X with A X = B; B is a matrix or a vector."""
    return array_namespace(A, B).linalg.solve(A, B)


def cholesky(K: Array) -> Array:
    """Lower triangular L with positive diagonal and L Lᵀ = K, K positive definite."""
    return array_namespace(K).linalg.cholesky(K)


def solve_lower(L: Array, B: Array, *, transpose: bool = False, unit: bool = False) -> Array:
    """X with L X = B (or Lᵀ X = B), L lower triangular; what stands above its diagonal is not read."""
    if B.ndim == 1:
        return native.solve_triangular(L, B[:, None], lower=True, transpose=transpose, unit=unit)[:, 0]
    return native.solve_triangular(L, B, lower=True, transpose=transpose, unit=unit)


def solve_upper(R: Array, B: Array, *, transpose: bool = False, unit: bool = False) -> Array:
    """X with R X = B (or Rᵀ X = B), R upper triangular; what stands below its diagonal is not read."""
    if B.ndim == 1:
        return native.solve_triangular(R, B[:, None], lower=False, transpose=transpose, unit=unit)[:, 0]
    return native.solve_triangular(R, B, lower=False, transpose=transpose, unit=unit)


def cho_solve(L: Array, B: Array) -> Array:
    """X with L Lᵀ X = B: a linear system whose Cholesky factor is known."""
    return solve_lower(L, solve_lower(L, B), transpose=True)


def cho_inverse(L: Array) -> Array:
    """(L Lᵀ)⁻¹, L lower triangular."""
    return _gram_of_lower(inv_lower(L))


def inv_lower(L: Array) -> Array:
    """Inverse of a lower triangular matrix; what stands above its diagonal is not read.

    Large ones are split in halves, because products of matrices run several times faster than triangular solves.
    """
    n = L.shape[-1]
    if n <= BLOCK:
        return solve_lower(L, identity_like(L))
    half = n // 2
    top, bottom = inv_lower(L[..., :half, :half]), inv_lower(L[..., half:, half:])
    return block([[top, zeros((half, n - half), L)], [-(bottom @ (L[..., half:, :half] @ top)), bottom]])


def _gram_of_lower(M: Array) -> Array:
    """Mᵀ M of a lower triangular matrix, in halves that skip its zeros."""
    n = M.shape[-1]
    if n <= BLOCK:
        return M.mT @ M
    half = n // 2
    corner, bottom = M[..., half:, :half], M[..., half:, half:]
    side = bottom.mT @ corner
    return block([[_gram_of_lower(M[..., :half, :half]) + corner.mT @ corner, side.mT], [side, _gram_of_lower(bottom)]])


def lu_factor(A: AnyArray) -> Any:
    """The LU factorisation of an invertible matrix, for `lu_solve`."""
    return native.lu_factor(A)


def lu_solve(factors: Any, B: Array, *, transpose: bool = False) -> Array:
    """X with A X = B (or Aᵀ X = B), A given by its LU factorisation; B is a matrix or a vector."""
    if B.ndim == 1:
        return native.lu_solve(factors, B[:, None], transpose=transpose)[:, 0]
    return native.lu_solve(factors, B, transpose=transpose)


def lu_det(factors: Any) -> Any:
    """Determinant of a matrix given by its LU factorisation."""
    return native.lu_det(factors)


def lu(A: Array) -> tuple[Array, Array]:
    """L (unit lower triangular) and U (upper triangular) with L U = A, where the columns of A are diagonally dominant.

    For such a matrix partial pivoting interchanges no rows.
    """
    packed = native.lu_packed(A)
    return tril(packed, -1) + identity_like(packed), triu(packed)


def qr(A: Array) -> tuple[Array, Array]:
    """Thin Q R = A, the diagonal of R not negative (so that Q and R are functions of A)."""
    linalg = array_namespace(A).linalg
    if hasattr(linalg, "qr_positive"):  # exact arrays, some of which know no signs
        factors: tuple[Array, Array] = linalg.qr_positive(A)
        return factors
    Q, R = linalg.qr(A, mode="reduced")
    signs = where(diagonal(R) < 0, -ones_like(diagonal(R)), 1)
    return Q * signs, signs[:, None] * R


def eigh(S: Array) -> tuple[Array, Array]:
    """Eigenvalues (ascending) and orthonormal eigenvectors (columns) of a symmetric matrix."""
    lam, V = array_namespace(S).linalg.eigh(S)
    return lam, V


def fix_signs(V: Array) -> Array:
    """-1 or 1 for each column: the sign of its entry of largest magnitude, the first of those that differ by rounding only."""
    xp = array_namespace(V)
    n = V.shape[-2]
    row = total(tril(ones((n, n), V), -1), axis=1)  # 0, 1, ..., n-1
    chosen = xp.argmax(absolute(V) * (1 - row[:, None] / (1000 * n)), axis=-2)
    pivot = total(where(row[:, None] == xp.astype(chosen, V.dtype), V, 0.0), axis=-2)
    return where(pivot < 0, -ones_like(pivot), 1)


def eig_real(A: Array) -> tuple[Array, Array]:
    """Eigenvalues (ascending) and eigenvectors (columns of length 1, signs fixed) of a matrix whose spectrum is real."""
    lam, columns = native.eig_real(A)
    order = argsort(lam)
    V = take(columns, order, axis=1)
    return take(lam, order), V * (fix_signs(V) / sqrt(total(V * V, axis=0)))


def thin_svd(A: Array) -> tuple[Array, Array, Array]:
    """U, s, Vᵀ with A = U diag(s) Vᵀ, s descending, as many columns as the smaller side of A."""
    U, s, Vt = array_namespace(A).linalg.svd(A, full_matrices=False)
    return U, s, Vt


def expm(A: Array) -> Array:
    """Matrix exponential."""
    return expm_and_differential(A)[0]


def expm_and_differential(A: Array) -> tuple[Array, Callable[[Array], Array]]:
    """Matrix exponential, and its differential at A as a function of the tangent, which takes over all that is known of A.

    Scaling and squaring with the [13/13] Padé approximant and its derivative (Al-Mohy and Higham 2009, algorithm 6.4). The
    libraries' own exponentials are not used: at norms near 10, JAX's was seen to lose five of sixteen digits and SciPy's three.
    """
    if 0 in A.shape:
        return A, lambda E: E
    xp = array_namespace(A)
    halvings = xp.ceil(xp.log2(maximum(largest(total(absolute(A), axis=0)) / PADE_13_REACH, 1.0)))
    scale = like(0.5, A) ** halvings
    b, identity = PADE_13, identity_like(A)
    A1 = A * scale
    A2 = A1 @ A1
    A4 = A2 @ A2
    A6 = A2 @ A4
    odd = b[13] * A6 + b[11] * A4 + b[9] * A2
    even = b[12] * A6 + b[10] * A4 + b[8] * A2
    W = A6 @ odd + b[7] * A6 + b[5] * A4 + b[3] * A2 + b[1] * identity
    U = A1 @ W
    V = A6 @ even + b[6] * A6 + b[4] * A4 + b[2] * A2 + b[0] * identity
    factors = lu_factor(V - U)
    R = lu_solve(factors, V + U)
    value, differential_of_doubling = native.doubled(R, halvings)

    def differential(E: Array) -> Array:
        E1 = E * scale
        E2 = A1 @ E1 + E1 @ A1
        E4 = A2 @ E2 + E2 @ A2
        E6 = A4 @ E2 + E4 @ A2
        dW = A6 @ (b[13] * E6 + b[11] * E4 + b[9] * E2) + E6 @ odd + b[7] * E6 + b[5] * E4 + b[3] * E2
        dU = A1 @ dW + E1 @ W
        dV = A6 @ (b[12] * E6 + b[10] * E4 + b[8] * E2) + E6 @ even + b[6] * E6 + b[4] * E4 + b[2] * E2
        return differential_of_doubling(lu_solve(factors, dU + dV + (dU - dV) @ R))

    return value, differential
