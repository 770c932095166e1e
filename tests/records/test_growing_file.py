"""Files that grow by lines: what is whole stays, what was half written goes, however long it is."""

from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import example, given
from hypothesis import strategies as st

from records import growing_file

LINES = st.lists(st.integers(0, 40_000).map(lambda size: b"x" * size + b"\n"), max_size=3).map(b"".join)


@given(LINES, st.integers(0, 40_000), LINES)
@example(b"", 40_000, b"new\n")
@example(b"old\n", 16_384, b"new\n")
@example(b"old\n", 16_383, b"")
def test_whole_lines_stay_and_half_a_line_goes(whole: bytes, half: int, added: bytes) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "log"
        path.write_bytes(whole + b"y" * half)
        growing_file.append(path, added)
        assert path.read_bytes() == whole + added


def test_a_new_file_is_its_owners_alone(tmp_path: Path) -> None:
    growing_file.append(tmp_path / "log", b"line\n")
    assert (tmp_path / "log").read_bytes() == b"line\n"
    assert (tmp_path / "log").stat().st_mode & 0o777 == 0o600
