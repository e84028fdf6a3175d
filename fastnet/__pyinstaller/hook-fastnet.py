"""PyInstaller's hook: what an application needs that imports do not show."""

from PyInstaller.utils.hooks import collect_submodules, copy_metadata

# numba looks up its targets and what they implement by name.
hiddenimports = collect_submodules("fastnet", filter=lambda name: "__pyinstaller" not in name)
# `show_versions` reads the versions of what fastnet depends on.
datas = copy_metadata("fastnet-mlp", recursive=True)
