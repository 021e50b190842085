"""What is installed, for people who look after it: `make sbom`, `make audit`, `make pin-images`.

* `sbom [FILE]` writes what the image installs as CycloneDX 1.6: each release with its licence, the hashes of
  its files and what it needs. The same locks make the same file.
* `audit [LOCK …]` asks a database of known faults (OSV, or the one at OSV_URL) about each locked release.
* `pin-images` writes the digests of the base images behind their names, in deploy/.

Each ends with 0 when all is well, with 1 when something was found, and with 2 when it could not look.
"""

import hashlib
import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from uuid import NAMESPACE_URL, uuid5

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import ExternalReference, ExternalReferenceType, HashAlgorithm, HashType, XsUri
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from backend.development import locks
from backend.env import BASE_DIR

DONE, FOUND, NOT_LOOKED = 0, 1, 2
IMAGE = next(lock for lock in locks.LOCKS if lock.name == "requirements-image.lock")
# Where base images are named: `FROM x AS`, `image: x`. Ours is built, not pulled.
IMAGE_NAME = re.compile(
    r"^(?P<before>FROM |\s*image: )(?P<name>(?!crm-backend)[\w./-]+:[\w.-]+)(@sha256:[0-9a-f]{64})?(?=\s|$)",
    re.MULTILINE,
)
LICENCE_LENGTH = 100


def sbom(folder: Path) -> str:
    """What the image installs on this machine's kind of platform, as CycloneDX. Raises ValueError for a
    document that its schema refuses."""
    path = folder / IMAGE.name
    entries = [(entry, hashes) for entry, hashes in locks.locked(path) if locks.applies(entry)]
    components: dict[str, Component] = {
        canonicalize_name(entry.name): _component(entry, [text.rpartition(":")[2] for text in hashes])
        for entry, hashes in entries
    }
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    root = Component(
        name=project["name"],
        version=project["version"],
        type=ComponentType.APPLICATION,
        bom_ref=project["name"],
    )
    bom = Bom(components=components.values(), serial_number=uuid5(NAMESPACE_URL, _digest(path)))
    bom.metadata.component = root
    # The same locks make the same file, whenever.
    bom.metadata.timestamp = None  # type: ignore[assignment]  # the document may do without
    versions: dict[str, str] = {canonicalize_name(entry.name): str(entry.specifier) for entry, _ in entries}
    asked = IMAGE.requirements(folder)
    bom.register_dependency(root, _known(components, asked))
    for name, component in components.items():
        bom.register_dependency(component, _known(components, locks.needs(name, versions)))
    text = JsonV1Dot6(bom).output_as_string(indent=2)
    fault = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
    if fault:
        raise ValueError(str(fault))
    return text + "\n"


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _known(components: dict[str, Component], entries: Iterable[Requirement]) -> list[Component]:
    names = {canonicalize_name(entry.name) for entry in entries}
    return [components[name] for name in sorted(names & set(components))]


def _component(entry: Requirement, hashes: list[str]) -> Component:
    name, version = canonicalize_name(entry.name), str(entry.specifier).removeprefix("==")
    purl = PackageURL("pypi", name=name, version=version)
    files = ExternalReference(
        type=ExternalReferenceType.DISTRIBUTION,
        url=XsUri(purl.to_string()),
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=one) for one in hashes],
    )
    licence = _licence(name)
    return Component(
        name=name,
        version=version,
        type=ComponentType.LIBRARY,
        purl=purl,
        bom_ref=purl.to_string(),
        external_references=[files],
        licenses=[LicenseFactory().make_from_string(licence)] if licence else [],
    )


def _licence(name: str) -> str:
    """What a package says of its licence; empty where it is not installed here or says nothing short."""
    try:
        said = metadata.metadata(name)
    except metadata.PackageNotFoundError:
        return ""
    classified = [text for text in said.get_all("Classifier", []) if text.startswith("License ::")]
    texts = (
        said["License-Expression"],
        said["License"],
        *[text.rpartition(" :: ")[2] for text in classified],
    )
    return next((text for text in texts if text and len(text) < LICENCE_LENGTH and "\n" not in text), "")


def audit(files: list[str]) -> int:
    """Print the known faults of what is locked."""
    url = os.environ.get("OSV_URL", "")
    command = [
        *(sys.executable, "-m", "pip_audit", "--disable-pip", "--require-hashes", "--format", "json"),
        *("--progress-spinner", "off", "--vulnerability-service", "osv", "--aliases", "on"),
        *(("--osv-url", url) if url else ()),
        *[word for name in files for word in ("--requirement", name)],
    ]
    made = subprocess.run(command, cwd=BASE_DIR, capture_output=True, text=True, check=False)  # noqa: S603
    try:
        releases = json.loads(made.stdout)["dependencies"]
    except (ValueError, KeyError):
        reason = (made.stderr.strip().splitlines() or ["no answer"])[-1]
        _print(f"The database of known faults cannot be asked, nothing was looked up: {reason}")
        return NOT_LOOKED
    faulty = [(one, fault) for one in releases for fault in one.get("vulns", [])]
    for one, fault in faulty:
        fixed = ", ".join(fault["fix_versions"]) or "no release yet"
        names = ", ".join((fault["id"], *fault["aliases"]))
        _print(f"{one['name']} {one['version']}: {names} (mended in {fixed})")
    _print(f"releases looked up: {len(releases)}, known faults: {len(faulty)}")
    return FOUND if faulty else DONE


def pin_images(folder: Path) -> int:
    """Write the digest that each base image has now behind its name."""
    for path in (folder / "Dockerfile", folder / "compose.yaml"):
        text = path.read_text()
        for name in sorted({found["name"] for found in IMAGE_NAME.finditer(text)}):
            command = ["docker", "buildx", "imagetools", "inspect", name, "--format", "{{.Manifest.Digest}}"]
            try:
                made = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
            except OSError as error:
                _print(f"Docker cannot be started, nothing was pinned: {error}")
                return NOT_LOOKED
            digest = made.stdout.strip()
            if made.returncode or not re.fullmatch(r"sha256:[0-9a-f]{64}", digest):
                reason = (made.stderr.strip().splitlines() or ["no digest"])[-1]
                _print(f"The registry does not say which image {name} is: {reason}")
                return NOT_LOOKED
            text = _pinned(text, name, digest)
        path.write_text(text)
    return DONE


def _pinned(text: str, name: str, digest: str) -> str:
    def with_digest(found: re.Match[str]) -> str:
        return f"{found['before']}{name}@{digest}" if found["name"] == name else found[0]

    return IMAGE_NAME.sub(with_digest, text)


def main(arguments: list[str]) -> int:
    verb, *given = arguments or [""]
    if verb == "sbom":
        path = Path(given[0]) if given else BASE_DIR / "sbom.json"
        path.write_text(sbom(BASE_DIR))
        _print(f"{path.name} is valid CycloneDX 1.6")
        return DONE
    if verb == "audit":
        return audit(given or [locks.LOCKS[0].name])
    if verb == "pin-images":
        return pin_images(BASE_DIR / "deploy")
    sys.exit(str(__doc__))


def _print(text: str) -> None:
    print(text)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
