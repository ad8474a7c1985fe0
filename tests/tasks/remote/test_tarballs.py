"""Tars read in place: what lies in them, and what is refused."""

import bz2
import gzip
import io
import lzma
import tarfile
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from tasks.errors import BadInput
from tasks.remote.tarballs import in_tarball


def tar(*infos: tuple[tarfile.TarInfo, bytes]) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        for info, content in infos:
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return file.getvalue()


def of_type(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def damaged_in_the_middle() -> bytes:
    content = bytearray(tar(*((tarfile.TarInfo(f"{name}.csv"), b"1") for name in "abc")))
    content[1024:1124] = b"x" * 100  # the header of the second
    return bytes(content)


@pytest.mark.parametrize(
    ("name", "pack"),
    [
        ("a.tar", bytes),
        ("a.tar.gz", gzip.compress),
        ("a.TGZ", gzip.compress),
        ("a.tar.xz", lzma.compress),
        ("a.tar.bz2", bz2.compress),
        ("a.tar.zst", lambda content: pa.Codec("zstd").compress(content, asbytes=True)),
    ],
)
def test_members_are_read_in_the_order_of_their_names(
    tmp_path: Path, name: str, pack: Callable[[bytes], bytes]
) -> None:
    content = tar((tarfile.TarInfo("b/二.csv"), b"2"), (tarfile.TarInfo("./a.csv"), b"1"))
    (tmp_path / name).write_bytes(pack(content))
    found = [(member.name, member.open().read()) for member in in_tarball(tmp_path / name)]
    assert found == [("a.csv", b"1"), ("b/二.csv", b"2")]


def test_links_devices_and_hidden_files_are_no_data(tmp_path: Path) -> None:
    content = tar(
        (of_type("link.csv", tarfile.SYMTYPE, "/etc/passwd"), b""),
        (of_type("hard.csv", tarfile.LNKTYPE, "../../x"), b""),
        (of_type("pipe.csv", tarfile.FIFOTYPE), b""),
        (tarfile.TarInfo(".hidden.csv"), b"x"),
        (tarfile.TarInfo("a.csv"), b"1"),
    )
    (tmp_path / "a.tar").write_bytes(content)
    assert [member.name for member in in_tarball(tmp_path / "a.tar")] == ["a.csv"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.tar", tar((tarfile.TarInfo("../x.csv"), b"1")), r"'\.\./x\.csv' points outside"),
        ("a.tar", tar((tarfile.TarInfo("/x.csv"), b"1")), "points outside of the archive"),
        ("a.tar", tar(*[(tarfile.TarInfo("x.csv"), b"1")] * 2), "two members 'x.csv'"),
        ("a.tar", b"no tar" * 200, r"a\.tar is not a tar that can be read"),
        ("a.tar.gz", b"no gzip", r"a\.tar\.gz is damaged"),
        ("a.tar.gz", gzip.compress(tar((tarfile.TarInfo("x"), b"1")))[:-20], "is damaged"),
        ("a.tar.xz", lzma.compress(b"x")[:-4], "is damaged"),
        ("a.tar.lz", b"x", r"packed as \.lz, which is not read \(\.gz.*: unpack it into data/sou"),
        ("a.tar.zst", b"no zstd", r"a\.tar\.zst is damaged"),
        ("a.tar", damaged_in_the_middle(), r"a\.tar is damaged at byte 1,024 of its tar"),
        ("a.tar", tar((tarfile.TarInfo("\udcff.csv"), b"1")), "is not UTF-8"),
        ("a.deb", b"no package", r"a\.deb is not a Debian package"),
        ("a.deb", b"!<arch>\n" + b"data.tar.xz".ljust(48) + b"99        `\n" + b"x", "is damaged"),
        ("a.deb", b"!<arch>\n" + b"control.tar".ljust(48) + b"-5        `\n", "has no data.tar"),
        ("a.tar.gz", gzip.compress(bytes(70 * 2**20)), "unpacks to more than"),
    ],
    ids=range(15),  # the bytes hold the time
)
def test_what_is_damaged_or_made_to_do_harm_is_refused(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BadInput, match=message):
        list(in_tarball(tmp_path / name))


def test_a_hard_link_is_the_file_that_it_names(tmp_path: Path) -> None:
    content = tar(
        (tarfile.TarInfo("a.csv"), b"12"), (of_type("b.csv", tarfile.LNKTYPE, "a.csv"), b"")
    )
    (tmp_path / "a.tar").write_bytes(content)
    found = [(member.name, member.open().read()) for member in in_tarball(tmp_path / "a.tar")]
    assert found == [("a.csv", b"12"), ("b.csv", b"12")]


def test_a_debian_package_that_says_it_is_huge_takes_no_memory(tmp_path: Path) -> None:
    header = b"data.tar.xz".ljust(48) + b"9999999999".ljust(10) + b"`\n"
    (tmp_path / "a.deb").write_bytes(b"!<arch>\n" + header + b"x" * 100)
    with pytest.raises(BadInput, match="is damaged: it has no data"):
        list(in_tarball(tmp_path / "a.deb"))


def test_a_sparse_file_of_a_size_that_it_does_not_have_is_left_out(tmp_path: Path) -> None:
    sparse = of_type("x.csv", tarfile.GNUTYPE_SPARSE)
    (tmp_path / "a.tar").write_bytes(tar((sparse, b""), (tarfile.TarInfo("a.csv"), b"1")))
    assert [member.name for member in in_tarball(tmp_path / "a.tar")] == ["a.csv"]
