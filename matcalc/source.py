"""Books and papers a rule is taken from."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Source:
    """One published work, or one place in it.

    `Source("Giles", 2008, "An extended collection ...").at("2.2.3")` names section 2.2.3 of it; a place in parentheses is an
    equation number, as in `COOKBOOK.at("(57)")`. Give a place only where you have read it.
    """

    authors: str
    year: int
    title: str
    where: str = ""
    url: str = ""
    place: str = ""

    def at(self, place: str) -> Source:
        """The same work, at one place."""
        return replace(self, place=place)

    @property
    def short(self) -> str:
        """Authors, year and place: what fits beside a formula."""
        mark = "eq. " if self.place.startswith("(") else "section " if self.place[:1].isdigit() else ""
        return f"{self.authors} {self.year}" + (f", {mark}{self.place}" if self.place else "")

    def __str__(self) -> str:
        return f"{self.short}: {self.title}" + (f", {self.where}" if self.where else "")


AL_MOHY_HIGHAM = Source(
    "Al-Mohy and Higham",
    2009,
    "Computing the Fréchet derivative of the matrix exponential, with an application to condition number estimation",
    "SIAM Journal on Matrix Analysis and Applications 30(4)",
    "https://doi.org/10.1137/080716426",
)
BA = Source("Ba, Kiros and Hinton", 2016, "Layer normalization", "arXiv:1607.06450", "https://arxiv.org/abs/1607.06450")
BISHOP = Source("Bishop", 2006, "Pattern Recognition and Machine Learning", "Springer")
BOYD = Source("Boyd and Vandenberghe", 2004, "Convex Optimization", "Cambridge University Press")
COOKBOOK = Source("Petersen and Pedersen", 2012, "The Matrix Cookbook", "version of November 15, 2012")
DEEP_LEARNING = Source("Goodfellow, Bengio and Courville", 2016, "Deep Learning", "MIT Press", "https://www.deeplearningbook.org")
ELFWING = Source(
    "Elfwing, Uchibe and Doya",
    2018,
    "Sigmoid-weighted linear units for neural network function approximation in reinforcement learning",
    "Neural Networks 107",
)
GILES = Source(
    "Giles",
    2008,
    "An extended collection of matrix derivative results for forward and reverse mode algorithmic differentiation",
    "Oxford University Computing Laboratory, report NA-08/01",
)
GOLUB_VAN_LOAN = Source("Golub and Van Loan", 2013, "Matrix Computations", "fourth edition, Johns Hopkins University Press")
HENDRYCKS_GIMPEL = Source(
    "Hendrycks and Gimpel", 2016, "Gaussian error linear units (GELUs)", "arXiv:1606.08415", "https://arxiv.org/abs/1606.08415"
)  # fmt: skip
HIGHAM = Source("Higham", 2008, "Functions of Matrices: Theory and Computation", "SIAM", "https://doi.org/10.1137/1.9780898717778")
HUBER = Source("Huber", 1964, "Robust estimation of a location parameter", "Annals of Mathematical Statistics 35(1)")
IOFFE_SZEGEDY = Source(
    "Ioffe and Szegedy",
    2015,
    "Batch normalization: accelerating deep network training by reducing internal covariate shift",
    "arXiv:1502.03167",
    "https://arxiv.org/abs/1502.03167",
)
LAWRENCE = Source(
    "Lawrence", 2005, "Probabilistic non-linear principal component analysis with Gaussian process latent variable models",
    "Journal of Machine Learning Research 6",
)  # fmt: skip
MAGNUS_NEUDECKER = Source(
    "Magnus and Neudecker", 2019, "Matrix Differential Calculus with Applications in Statistics and Econometrics", "third edition, Wiley"
)  # fmt: skip
MINKA = Source("Minka", 2000, "Old and new matrix algebra useful for statistics", "MIT Media Lab note")
MURPHY = Source("Murphy", 2012, "Machine Learning: A Probabilistic Perspective", "MIT Press")
MURRAY = Source(
    "Murray", 2016, "Differentiation of the Cholesky decomposition", "arXiv:1602.07527", "https://arxiv.org/abs/1602.07527"
)  # fmt: skip
NOTES = Source("Lecture notes on backpropagation", 2026, "five documents, restated claim by claim", "docs/source-notes.md")
RASMUSSEN_WILLIAMS = Source("Rasmussen and Williams", 2006, "Gaussian Processes for Machine Learning", "MIT Press")
SEEGER = Source(
    "Seeger, Hetzel, Dai, Meissner and Lawrence",
    2017,
    "Auto-differentiating linear algebra",
    "arXiv:1710.08717",
    "https://arxiv.org/abs/1710.08717",
)
TIBSHIRANI = Source(
    "Tibshirani", 1996, "Regression shrinkage and selection via the lasso", "Journal of the Royal Statistical Society B 58(1)"
)  # fmt: skip
TOWNSEND = Source("Townsend", 2016, "Differentiating the singular value decomposition", "technical note")
VASWANI = Source("Vaswani and others", 2017, "Attention is all you need", "arXiv:1706.03762", "https://arxiv.org/abs/1706.03762")
WALTER_LEHMANN = Source(
    "Walter and Lehmann",
    2010,
    "Algorithmic differentiation of linear algebra functions with application in optimum experimental design",
    "arXiv:1001.1654",
    "https://arxiv.org/abs/1001.1654",
)
ZHANG_SENNRICH = Source(
    "Zhang and Sennrich", 2019, "Root mean square layer normalization", "arXiv:1910.07467", "https://arxiv.org/abs/1910.07467"
)  # fmt: skip
