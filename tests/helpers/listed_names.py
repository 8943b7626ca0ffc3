"""Tables of exceptions, by file and name, held against the names in the files."""

from collections.abc import Mapping, Set


def assert_listed_alone(
    used: Mapping[str, Mapping[str, int]], table: Mapping[str, tuple[str, str]], folder: str, fault: str
) -> None:
    """Check that the names in the files of a folder are those of a table, no more and no fewer.

    Parameters
    ----------
    used
        For each file, the names that it uses, with a line of each.
    table
        For each file, the names that it may use, and the reason.
    folder
        The folder of the files.
    fault
        The heading of a list of names that are not in the table.
    """
    listed: dict[str, Set[str]] = {
        file: {*names.split()} for file, (names, _) in table.items() if file.startswith(f"{folder}/")
    }
    reached = {
        f"{file}:{line}: {name}"
        for file, lines in used.items()
        for name, line in lines.items()
        if name not in listed.get(file, ())
    }
    assert reached == set(), "\n".join([fault, *sorted(reached)])
    stale = {f"{file}: {name}" for file, names in listed.items() for name in names - used.get(file, {}).keys()}
    assert stale == set(), "\n".join(["entries of the table that occur no longer:", *sorted(stale)])
