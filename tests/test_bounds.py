"""No version that pyproject.toml allows has a known hole that kcnn's use of it could meet."""

import re
import tomllib

import pytest
from conftest import REPOSITORY
from packaging.requirements import Requirement
from packaging.version import Version

# Package -> the version with the fixes, and some of the advisories. Looked up on 27 November 2026.
FIXED = {
    "py7zr": ("1.1.4", "before it, members are written outside their folder"),
    "pillow": ("12.3.0", "CVE-2026-25990, 40192, 42309, 54058 to 54060, 55379, 55380, 59197 to 59205"),
    "pi-heif": ("1.3.0", "CVE-2026-28231"),
    "opencv-python-headless": ("4.12.0", "CVE-2025-53644"),
    "requests": ("2.33.0", "CVE-2026-25645; CVE-2024-47081"),
    "urllib3": ("2.7.0", "CVE-2026-44431, 44432, 21441; CVE-2025-66418, 66471"),
    "filelock": ("3.20.3", "CVE-2025-68146, CVE-2026-22701"),
    "jinja2": ("3.1.6", "CVE-2025-27516"),
    "keras": ("3.15.1", "CVE-2026-1462, GHSA-hqp4-2352-xf5r; Orbax assets in 3.14 and 3.15.0"),
    "scikit-learn": ("1.5.0", "CVE-2024-5206"),
    "torch": ("2.8.0", "CVE-2025-32434, 2953, 3730"),
}


def requirements() -> dict[str, Requirement]:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    listed = [*project["dependencies"], *project["optional-dependencies"]["torch"]]
    return {each.name: each for each in map(Requirement, listed)}


@pytest.mark.parametrize("name", FIXED)
def test_no_bound_allows_a_version_with_a_known_hole(name):
    lowest = re.search(r">=([\d.]+)", str(requirements()[name].specifier))
    assert Version(lowest[1]) >= Version(FIXED[name][0]), FIXED[name][1]


def test_every_dependency_has_both_bounds():
    for each in requirements().values():
        operators = {specifier.operator for specifier in each.specifier}
        assert operators in ({">=", "<"}, {"=="}), each
