"""What the pages that are written from measurements are made of."""

from typing import Any


def table(header: list[str], lines: list[list[str]]) -> str:
    """Return a table of Markdown; all columns but the first are numbers."""
    rule = ["---", *["---:"] * (len(header) - 1)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (header, rule, *lines))


def duration(seconds: float) -> str:
    """Return a time in three digits, in the unit that suits it."""
    for unit, scale in (("s", 1.0), ("ms", 1e3)):
        if seconds * scale >= 1:
            return f"{seconds * scale:.3g} {unit}"
    return f"{seconds * 1e6:.3g} µs"


def machine_line(machine: dict[str, Any]) -> str:
    """Return the day, the machine and the versions of a measurement."""
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    blas = {
        f"{pool['internal_api']} {pool['version']} for {pool.get('architecture')}"
        for pool in machine["threadpools"]
        if pool["user_api"] == "blas"
    }
    layer = machine["threading_layer"]
    return (
        f"Measured on {machine['date'][:10]}: {machine['processor']}, {machine['n_threads']} of "
        f"{machine['cpu_count']} cores for everybody; Python {machine['python']}, {versions}; "
        f"{', '.join(sorted(blas))}{'' if layer is None else f'; numba on {layer}'}."
    )


def replace_section(text: str, name: str, section: str) -> str:
    """Return the text with what stands between the markers of that name replaced."""
    begin, end = f"<!-- {name}:begin -->\n", f"<!-- {name}:end -->"
    before, found, rest = text.partition(begin)
    _, closed, after = rest.partition(end)
    if not (found and closed):
        raise ValueError(f"the text lacks {begin.strip()} or {end}")
    return f"{before}{begin}\n{section}\n\n{end}{after}"
