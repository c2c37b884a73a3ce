"""The versions of other packages that were tested, as the metadata of this package states them."""

from collections.abc import Mapping
from importlib import metadata

from packaging.requirements import Requirement


def supported_versions() -> Mapping[str, str]:
    """Return package → range, such as ">=2.11,<2.16", of packages that have an upper bound."""
    ranges = {}
    for line in metadata.requires("yolact-bench") or ():
        requirement = Requirement(line)
        if "<" in str(requirement.specifier):
            bounds = sorted(map(str, requirement.specifier), reverse=True)
            ranges[requirement.name] = ",".join(bounds)
    return ranges


def unsupported_packages() -> Mapping[str, str]:
    """Return package → installed version, of packages outside the range that was tested."""
    outside = {}
    for line in metadata.requires("yolact-bench") or ():
        requirement = Requirement(line)
        try:
            version = metadata.version(requirement.name)
        except metadata.PackageNotFoundError:
            continue
        if not requirement.specifier.contains(version, prereleases=True):
            outside[requirement.name] = version
    return outside
