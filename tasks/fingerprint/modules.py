"""The modules of a repository as they lie on disk: who imports whom, and what lies beside them.

Whatever a stage can import from the repository is followed: packages with and without an
``__init__.py``, modules beside ``tasks``, imports inside functions, ``import_module`` of a
constant. An import that no constant names cannot be followed, and is an error unless
``DYNAMIC_IMPORTS`` says what stands in its place.
"""

import os
import re
from collections.abc import Iterable, Iterator
from itertools import product
from pathlib import Path

from tasks.errors import BadInput
from tasks.fingerprint.content_hash import ContentHashes
from tasks.fingerprint.references import Import, References, references
from tasks.fingerprint.syntax_hash import Remembered, hash_of_source

# The one list of modules that are not hashed, and why; a name covers what lies below it.
NOT_HASHED = {
    "tasks.errors": "error texts; which error is derived from which is held by a test",
    "tasks.progress": "lines for people",
    "tasks.plain_text": "how lines for people are made fit to be shown",
    "tasks.interpreter": "which Python starts a stage",
    "tasks.parent": "how a process ends with its parent",
    "tasks.checks": "what a training is ended for",
    "tasks.tracking": "tracking: what MLflow is told",
    "tasks.stage_process": "how a stage is started and recorded; what it is given is hashed",
    "tasks.fingerprint": "how code is told apart; another way of telling shows in every line",
    "tasks.contracts.params": "how params.yaml is read; the values are in the fingerprint",
}
# Imports of what no constant names, by module, and what is hashed in their place.
DYNAMIC_IMPORTS = {
    "tasks.contracts.registry": "an entry of a registry: Settings.modules() names it",
}
# Modules that a row is said to use by its settings: an import alone does not lead to them.
OPTIONAL = {
    "tasks.split.groups": "group_by is set",
    "tasks.split.dates": "by is set",
    "tasks.split.classes": "stratify: true",
    "tasks.split.strata": "stratify: true",
    "tasks.split.apart": "group_by or near_duplicates is set",
    "tasks.split.near": "near_duplicates is set",
    "tasks.validate.near": "near_duplicates is set",
    "tasks.validate.languages": "languages is set",
    "tasks.corpora.profile": "drift is set",
    "tasks.clean.rules.boilerplate": "clean.boilerplate: remove",
    "tasks.clean.rules.personal_data": "clean.personal_data is set",
    "tasks.clean.rules.languages": "clean.languages is set",
    "tasks.clean.rules.quality": "clean.quality is set",
    "tasks.clean.rules.blank": "clean.blank is set",
    "tasks.clean.near_duplicates": "clean.near_duplicates is set",
    "tasks.clean.rare_classes": "clean.rare_classes is set",
    "tasks.pretrain.init": "init is set",
    "tasks.inputs.byte_pairs": "tokenizer: bytes, or a published one by init.only",
    "tasks.objectives._fresh": "tokenizer: bytes, or a published one by init.only",
    "tasks.objectives._fused_loss": "fused_loss: true",
    "tasks.objectives.cooccurrence": "the objective, or embeddings that start from it",
    "tasks.heads._evidence": "head is another than classification",
    "tasks.heads._distribution": "distribution is set",
    "tasks.evaluate.headed": "head is another than classification",
    "tasks.finetune.lora": "mode: lora",
    "tasks.finetune.logistic": "solver: lbfgs",
    "tasks.finetune.weighted": "pooling: weighted",
    "tasks.finetune.layer_decay": "layer_decay is below 1",
    "tasks.finetune.folds": "folds is above 0, or refit: true",
    "tasks.finetune.refit": "refit: true",
    "tasks.finetune.frozen": "mode: frozen",
    "tasks.finetune.distill": "the backbone is a row of students",
    "tasks.finetune.wide": "wide is set",
    "tasks.models.wide": "finetune.wide is set",
    "tasks.inputs.pixel_cache": "images, and devices is above 1 or nodes is set",
    "tasks.training.launcher": "devices is above 1, or nodes is set",
    "tasks.training.spread.nodes": "nodes is set",
    "tasks.training.spread.elastic": "elastic: true",
    "tasks.training.spread.shards": "sharded: true",
    "tasks.training.spread.shard_checkpoints": "sharded: true",
    "tasks.objectives._recompute": "recompute: true",
    "tasks.training.watch": "validate_every is set",
}
PACKAGE = "tasks"
"""What a snapshot is a copy of."""
SCHEMA = "tasks.contracts.settings.Settings"
"""What all settings derive from."""
# Compared by DVC itself; and what people read, whose name `evaluate` gives to its card.
NOT_READ = frozenset({"params.yaml", "dvc.yaml", "dvc.lock", "data", "README.md"})
_NO_DATA = (".py", ".pyi", ".pyc", ".typed")
_TEMPLATE_NAME = re.compile(r"[\"']([^\"'\s]+\.j2)[\"']")


def not_hashed(module: str) -> bool:
    """Tell whether a module is on the list of what is not hashed."""
    return any(module == name or module.startswith(f"{name}.") for name in NOT_HASHED)


def module_source(root: Path, module: str) -> Path:
    """Return the file that a module lies in."""
    path = root.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def possible_hashes(source: str) -> set[str]:
    """Return the hashes that a module with this text can have, whatever the others are.

    Which of its classes are settings is told by the names of their bases here.
    """
    schemas: list[str] = []
    for name, bases in references(source)["bases"].items():
        last = {base.rpartition(".")[2] for base in bases}
        is_root = name == SCHEMA.rpartition(".")[2] and "BaseModel" in last
        if is_root or any(base.endswith("Settings") or base in schemas for base in last):
            schemas.append(name)
    return {hash_of_source(source), hash_of_source(source, schemas)}


class Code:
    """The code of one repository; each file is read once."""

    def __init__(self, root: Path, snapshot: Path | None = None) -> None:
        """Look at the code as it lies there now.

        Args:
            root: the repository's root.
            snapshot: a folder whose ``tasks/`` is looked at in place of the repository's.
        """
        self._root = root
        self._snapshot = snapshot or root
        self._remembered = Remembered()
        self._folders: dict[Path, dict[str, bool]] = {}
        self._known: dict[str, bool] = {}
        self._imports: dict[str, list[str]] = {}
        self._files: dict[str, set[Path]] = {}
        self._sources: dict[str, str] = {}
        self._references: dict[str, References] = {}
        self._schemas: dict[tuple[str, str], bool] = {}
        self._hashes: dict[tuple[str, bool], str] = {}
        self._contents = ContentHashes()
        self._data: dict[Path, list[Path]] = {}

    def reachable(self, roots: Iterable[str]) -> list[str]:
        """Return the hashed modules that the roots import, directly or not, sorted.

        Raises:
            BadInput: one of them is no Python, or imports what cannot be followed.
        """
        optional = OPTIONAL.keys() - set(roots)
        reached: set[str] = set()
        waiting = list(roots)
        while waiting:
            module = waiting.pop()
            if module in reached or module in optional or not_hashed(module):
                continue
            reached.add(module)
            waiting += self._imported_by(module)
        return sorted(module for module in reached if self._has_source(module))

    def hash_of(self, module: str, *, whole: bool = False) -> str:
        """Return the hash of a module's normalised syntax tree.

        Args:
            module: its name.
            whole: hash the schema of its settings, too.
        """
        key = (module, whole)
        if key not in self._hashes:
            schemas = [] if whole else self.schemas_of(module)
            self._hashes[key] = self._remembered.of(
                self.source_of(module),
                f"hash {' '.join(schemas)}",
                lambda source: hash_of_source(source, schemas),
            )
        return self._hashes[key]

    def files_of(self, modules: Iterable[str]) -> list[Path]:
        """Return the files that are no Python and that modules may read, relative to the root.

        Of those that lie in a folder of modules, one that is named like a module (``card.md.j2``)
        is that module's, any other is of all modules in the folder. Elsewhere, it is what a
        constant names.
        """
        found: set[Path] = set()
        for module in modules:
            if module not in self._files:
                self._files[module] = self._files_beside(module)
            found |= self._files[module]
        return sorted(found)

    def _files_beside(self, module: str) -> set[Path]:
        place = self._file_of(module)
        folder = place.parent
        found = set(self._files_named(self._references_of(module)["file_names"], folder))
        if folder != self._root:
            siblings = self._listing(folder)
            for path in self._data_in(folder):
                stem = path.name.partition(".")[0]
                belongs_to_another = f"{stem}.py" in siblings and stem != place.stem
                if path.parent != folder or not belongs_to_another:
                    found.add(path)
        for template in [path for path in found if path.suffix == ".j2"]:
            text = template.read_text(encoding="utf-8", errors="replace")
            found |= set(self._files_named(_TEMPLATE_NAME.findall(text), folder))
        return {self._relative(path) for path in found}

    def _files_named(self, names: Iterable[str], folder: Path) -> Iterator[Path]:
        """Yield the files that names lead to, from the root or from a folder.

        What DVC compares itself is none of them.
        """
        # As texts, which are compared a hundred times faster than paths: a plan asks for 1,500.
        here = self._relative(folder).as_posix()
        for name, start in product(names, {".", here}):
            path = os.path.normpath(f"{start}/{name}")
            top = path.partition("/")[0]
            if top in NOT_READ or top.startswith(".") or path.endswith(_NO_DATA):
                continue
            if not path.startswith("/") and (found := self._root_of(top) / path).is_file():
                yield found

    def content_of(self, path: Path) -> str:
        """Return the hash of a file or folder, relative to the root, or that there is none."""
        return self._contents.of(self._root_of(path.parts[0]) / path)

    def source_of(self, module: str) -> str:
        """Return the text of a module."""
        if module not in self._sources:
            path = self._file_of(module)
            self._sources[module] = path.read_text(encoding="utf-8")
        return self._sources[module]

    def schemas_of(self, module: str) -> list[str]:
        """Return the classes of a module that are settings."""
        bases = self._references_of(module)["bases"]
        return sorted(name for name in bases if self._is_schema(module, name))

    def remember(self) -> None:
        """Keep what was computed for the next process."""
        self._remembered.remember()
        self._contents.remember()

    def _file_of(self, module: str) -> Path:
        """Return the file that a module lies in."""
        return module_source(self._root_of(module.partition(".")[0]), module)

    def _root_of(self, top: str) -> Path:
        """Return the folder that a file or folder at the top of the repository is read from."""
        return self._snapshot if top == PACKAGE else self._root

    def _relative(self, path: Path) -> Path:
        """Return a path as it is from the repository's root, also that of a snapshot's file."""
        of_snapshot = path.is_relative_to(self._snapshot / PACKAGE)
        return Path(os.path.relpath(path, self._snapshot if of_snapshot else self._root))

    def _imported_by(self, module: str) -> list[str]:
        """Return the modules of the repository that are imported with a module."""
        if module not in self._imports:
            self._imports[module] = list(dict.fromkeys(self._find_imports(module)))
        return self._imports[module]

    def _find_imports(self, module: str) -> list[str]:
        found = self._with_packages(module)
        if not self._has_source(module):
            return found
        refers = self._references_of(module)
        if refers["dynamic"] and module not in DYNAMIC_IMPORTS:
            raise BadInput(
                f"{self._file_of(module)}, line {refers['dynamic'][0]}: an import of "
                "what no constant names cannot be followed: name it, or list the module in "
                "DYNAMIC_IMPORTS of tasks/fingerprint/modules.py with what is hashed in its place"
            )
        for statement in refers["imports"]:
            base = self._absolute(module, statement)
            found += self._with_packages(base)
            found += [
                inner
                for name in statement["names"]
                if self._exists(inner := f"{base}.{name}" if base else name)
            ]
        return found

    def _absolute(self, module: str, statement: Import) -> str:
        """Return the module that an import statement starts from."""
        if not statement["level"]:
            return statement["module"]
        is_package = self._file_of(module).name == "__init__.py"
        parts = module.split(".")
        kept = parts[: len(parts) - statement["level"] + (1 if is_package else 0)]
        return ".".join([*kept, statement["module"]]).strip(".")

    def _with_packages(self, module: str) -> list[str]:
        """Return a module and the packages around it, as far as they are the repository's."""
        parts = module.split(".")
        names = [".".join(parts[: number + 1]) for number in range(len(parts))]
        return [name for name in names if self._exists(name)]

    def _exists(self, module: str) -> bool:
        """Tell whether the repository has a module, or a folder that Python takes for a package."""
        if module not in self._known:
            place = self._root_of(module.partition(".")[0]).joinpath(*module.split("."))
            names = self._listing(place.parent)
            self._known[module] = bool(names.get(place.name)) or f"{place.name}.py" in names
        return self._known[module]

    def _has_source(self, module: str) -> bool:
        path = self._file_of(module)
        return path.name in self._listing(path.parent)

    def _listing(self, folder: Path) -> dict[str, bool]:
        """Return what lies in a folder, and whether each is a folder."""
        if folder not in self._folders:
            try:
                with os.scandir(folder) as entries:
                    self._folders[folder] = {entry.name: entry.is_dir() for entry in entries}
            except OSError:
                self._folders[folder] = {}
        return self._folders[folder]

    def _data_in(self, folder: Path) -> list[Path]:
        """Return the files in a folder, and in those below it that have no modules of their own."""
        if folder not in self._data:
            found = []
            for name, is_folder in self._listing(folder).items():
                if name.startswith((".", "#", "__pycache__")) or name.endswith("~"):
                    continue
                if not is_folder:
                    found += [] if name.endswith(_NO_DATA) else [folder / name]
                elif not any(inner.endswith(".py") for inner in self._listing(folder / name)):
                    found += self._data_in(folder / name)
            self._data[folder] = found
        return self._data[folder]

    def _references_of(self, module: str) -> References:
        if module not in self._references:
            try:
                found = self._remembered.of(self.source_of(module), "references", references)
            except SyntaxError as error:
                path = self._file_of(module)
                raise BadInput(
                    f"{path}, line {error.lineno}: the code is no Python: mend it"
                ) from None
            self._references[module] = found
        return self._references[module]

    def _is_schema(self, module: str, name: str) -> bool:
        """Tell whether a class derives from the settings' base, through any modules."""
        if f"{module}.{name}" == SCHEMA:
            return True
        key = (module, name)
        if key not in self._schemas:
            self._schemas[key] = False  # a class that would derive from itself
            bases = self._references_of(module)["bases"].get(name, [])
            self._schemas[key] = any(self._is_schema_base(module, base) for base in bases)
        return self._schemas[key]

    def _is_schema_base(self, module: str, base: str) -> bool:
        of, _, name = base.rpartition(".")
        if not of:
            return name != "" and self._is_schema(module, name)
        return self._exists(of) and self._has_source(of) and self._is_schema(of, name)
