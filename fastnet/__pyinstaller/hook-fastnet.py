"""PyInstaller's hook: what an application needs that imports do not show."""

from PyInstaller.utils.hooks import collect_submodules, copy_metadata

# Kernels that are read from the cache name their modules; nothing imports some of these.
hiddenimports = collect_submodules("fastnet", filter=lambda name: "__pyinstaller" not in name)
# `show_versions` reads the versions of what fastnet depends on.
datas = copy_metadata("fastnet-mlp", recursive=True)
