"""Where a wrong gradient was reported: an issue or pull request on GitHub, as read in 2026."""

from matcalc.source import Source


def issue(repository: str, number: int) -> Source:
    """The issue (or pull request: GitHub leads on to it) of that number, for instance `issue("pytorch/pytorch", 104675)`."""
    return Source(repository, 2026, "as read in that year", "GitHub", f"https://github.com/{repository}/issues/{number}", f"#{number}")
