"""IR text → machine code in this process; the only module that knows llvmlite.

A text is parsed, turned into object code for this machine (no mid-level passes: the text is
already what they would make of it) and linked by LLVM's ORC JIT. Object code is kept on disk, so
that the next process only links.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import itertools
import os
import platform
import re
import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from thalweg.errors import InternalError
from thalweg.execute.native import cache

try:
    import llvmlite
    import llvmlite.binding as llvm
except (ImportError, OSError) as error:  # OSError: its shared library does not load
    _MISSING = f"llvmlite is not there ({error}): pip install llvmlite"
else:
    _MISSING = ""

__all__ = ["QUICK", "Library", "Target", "attributes", "available", "load", "target", "verify"]

#: Set by the test suite: every text is verified before it is compiled (invalid IR that parses may
#: crash LLVM). Users do without: it takes as long as parsing.
VERIFY = False

_OLDEST = (0, 45)
_MACHINES = frozenset(["x86_64", "amd64", "aarch64", "arm64"])

#: The `level` of code that compiles quickly. The first process of a machine waits for it.
QUICK = 0

#: Libraries that one LLJIT takes: of each it keeps some kilobytes until it is itself dropped.
_LIBRARIES = 256

_LOCK = threading.RLock()


class Target(NamedTuple):
    """The machine that code is emitted for.

    Attributes
    ----------
    cpu, features, triple : str
        As LLVM names them.
    vector_bytes : int
        Of the widest registers worth using: 64 (AVX-512), 32 (AVX2) or 16 (SSE2, NEON).
    has_fma, has_avx512 : bool
        Fused multiply-add in hardware; AVX-512 with its F, BW, DQ and VL parts.
    l1, l2, l3 : int
        Bytes of the data caches that one core reaches (usual ones, where the system says nothing).
    """

    cpu: str
    features: str
    triple: str
    vector_bytes: int
    has_fma: bool
    has_avx512: bool
    l1: int
    l2: int
    l3: int

    @property
    def streams(self) -> bool:
        """Whether results can be written past the caches, and a fence makes them seen."""
        return self.triple.startswith("x86_64")


class Library:
    """Linked machine code; it stays in memory as long as this object does.

    Whoever has an address from here keeps the library, too, for as long as the code may run.
    """

    def __init__(self, engine: _Engine, tracker: Any, name: str, addresses: dict[str, int]) -> None:
        # The trackers are kept apart: were they members, a collector that finds this object in a
        # cycle would close them on its own, while another thread does so for what was dropped.
        self._handle = next(_HANDLES)
        _LOADED[self._handle] = engine, [tracker]
        self._name = name
        self._addresses = addresses

    def address(self, name: str) -> int:
        """The address of a function or global that the text defines."""
        found = self._addresses.get(name)
        if found is None:
            with _LOCK:
                engine, trackers = _LOADED[self._handle]
                try:
                    tracker = engine.jit.lookup(self._name, name)
                except RuntimeError as error:
                    raise InternalError(f"compiled code without {name!r}: {error}") from None
            trackers.append(tracker)
            found = self._addresses[name] = tracker[name]
        return found

    def __del__(self, ending: Callable[[], bool] = sys.is_finalizing) -> None:
        # At the end of the process code stays: a thread may be in it, and our globals may be gone.
        if not ending():
            _DROPPED.append(self._handle)
            _free_dropped()


class _Engine:
    """An LLJIT, and how many libraries it was given."""

    def __init__(self) -> None:
        self.jit = llvm.create_lljit_compiler(
            _target_machine(2), use_jit_link=True, suppress_errors=True
        )
        self.count = 0
        # One library stands for libc, libm and pthread: what a process already has is found there.
        self.process = (
            llvm.JITLibraryBuilder().add_ir("").add_current_process().link(self.jit, "process")
        )

    def __del__(self, ending: Callable[[], bool] = sys.is_finalizing) -> None:
        if not ending():
            self.process.close()  # before the LLJIT that it is in


#: What libraries have in LLVM, by their handles, and the handles of those that nobody holds. Only
#: who has the lock takes an entry out, so each is closed once.
_LOADED: dict[int, tuple[_Engine, list[Any]]] = {}
_DROPPED: deque[int] = deque()
_HANDLES = itertools.count()
_current: list[_Engine] = []


def _free_dropped() -> None:
    """Unload the libraries that nobody holds.

    While another thread compiles they wait: dropping a function must not take as long as that.
    """
    if not _LOCK.acquire(blocking=False):
        return
    try:
        while _DROPPED:
            _engine, trackers = _LOADED.pop(_DROPPED.popleft())
            for tracker in trackers:
                tracker.close()
    finally:
        _LOCK.release()


@functools.cache
def available() -> str:
    """Why native code cannot be served here; empty, if it can."""
    if _MISSING:
        return _MISSING
    if tuple(map(int, re.findall(r"\d+", llvmlite.__version__)[:2])) < _OLDEST:
        wanted = ".".join(map(str, _OLDEST))
        return f"llvmlite {llvmlite.__version__} is too old: {wanted} or newer is needed"
    machine = platform.machine().lower()
    if machine not in _MACHINES or sys.maxsize < 2**32 or sys.byteorder != "little":
        return f"no native code for this machine ({machine})"
    if sys.platform == "win32":
        return "no native code on Windows yet"
    return _self_test()


def _self_test() -> str:
    """What is wrong with compiling, linking and calling a small function; empty: nothing."""
    text = """
@table = internal constant [2 x double] [double 0.5, double 2.0], align 64
declare double @log1p(double)
define double @self_test(double %x, i64 %i) nounwind {
  %slot = getelementptr double, ptr @table, i64 %i
  %c = load double, ptr %slot
  %y = call double @log1p(double %x)
  %r = fadd double %c, %y
  ret double %r
}
"""
    try:
        library = load(text, level=QUICK)
        function = ctypes.CFUNCTYPE(ctypes.c_double, ctypes.c_double, ctypes.c_int64)(
            library.address("self_test")
        )
        answer = function(0.0, 1)
    except (InternalError, RuntimeError, OSError) as error:
        return f"LLVM does not work here: {error}"
    return "" if answer == 2.0 else f"compiled code is wrong here: 2 + log1p(0) gave {answer}"


@functools.cache
def target() -> Target:
    """The machine this process runs on."""
    with _LOCK:
        llvm.initialize_native_target()
        llvm.initialize_native_asmprinter()
        cpu = llvm.get_host_cpu_name()
        try:
            features = llvm.get_host_cpu_features()
        except RuntimeError:  # LLVM does not ask this system: the cpu's name says it all
            features = llvm.FeatureMap()
    triple = llvm.get_process_triple()
    arm = triple.startswith(("aarch64", "arm64"))
    avx512 = all(features.get(f"avx512{part}", False) for part in ("f", "bw", "dq", "vl"))
    has_fma = arm or features.get("fma", False)
    wide = 64 if avx512 else 32 if features.get("avx2", False) and has_fma else 16
    caches = [_cache_bytes(level, usual) for level, usual in ((1, 2**15), (2, 2**19), (3, 2**23))]
    return Target(cpu, features.flatten(), triple, wide, has_fma, avx512, *caches)


def _cache_bytes(level: int, usual: int) -> int:
    """Bytes of the data cache of a level, as Linux tells them."""
    for folder in Path("/sys/devices/system/cpu/cpu0/cache").glob("index*"):
        try:
            found = int((folder / "level").read_text())
            kind = (folder / "type").read_text().strip()
            size = (folder / "size").read_text().strip()
            if found == level and kind != "Instruction":
                return int(size.rstrip("KM")) * {"K": 2**10, "M": 2**20}.get(size[-1], 1)
        except (OSError, ValueError):
            continue
    return usual


def attributes(target: Target) -> str:
    """LLVM attributes for every emitted function: ``define void @f() ATTRIBUTES { …``.

    Code that does not unwind needs no tables for it. Some processors with AVX-512 would be given
    256-bit code unless the function asks for what `vector_bytes` says.
    """
    return f'nounwind "prefer-vector-width"="{8 * target.vector_bytes}"'


@functools.cache
def _target_machine(level: int) -> Any:
    """LLVM's code generator for this machine at an optimisation level."""
    machine = target()
    return llvm.Target.from_triple(machine.triple).create_target_machine(
        cpu=machine.cpu,
        features=machine.features,
        opt=level,
        reloc="pic",
        codemodel="small",
        jit=True,
    )


@functools.cache
def _preamble(level: int) -> str:
    """What a text needs in front, without a line of its own: line numbers in errors stay right."""
    machine = _target_machine(level)
    return f'target datalayout = "{machine.target_data}" target triple = "{machine.triple}" '


@functools.cache
def _key_prefix(level: int) -> bytes:
    """All that the object code of a text depends on, beside the text."""
    machine = target()
    versions = (llvmlite.__version__, *llvm.llvm_version_info, cache.FORMAT)
    return "\0".join(
        map(str, (*versions, machine.triple, machine.cpu, machine.features, level, ""))
    ).encode()


def load(ir: str, symbols: Mapping[str, int] | None = None, level: int = 2) -> Library:
    """Compile and link a text of IR, through the disk cache.

    Parameters
    ----------
    ir : str
        LLVM IR. It may call what the process has (libc, libm, pthread) and `symbols`.
    symbols : mapping of str to int, optional
        Names that the text declares, and where they are in this process. Addresses never stand in
        the text: the next process has others.
    level : int
        Effort of LLVM's code generator, 0 to 3: `QUICK` (0) takes a fifth of the time, for code of
        which little is run.

    Returns
    -------
    Library
        The code, for as long as this object lives.

    Raises
    ------
    InternalError
        If the text is not valid IR (the message shows the line), or a symbol is missing.
    """
    key = hashlib.sha256(_key_prefix(level) + ir.encode()).digest()
    code = cache.read(key)
    with _LOCK:
        if code is None:
            code = _compile(ir, level)
            cache.write(key, code)
        try:
            library = _link(code, _exports(ir), symbols or {})
        except RuntimeError as error:
            missing = [
                name
                for name in re.findall(r"^declare [^@]*@([\w.$]+)\(", ir, re.MULTILINE)
                if not name.startswith("llvm.") and name not in (symbols or {})
                if llvm.address_of_symbol(name) is None
            ]
            raise InternalError(
                f"compiled code does not link: {error}; not in this process: {missing}"
            ) from None
    _free_dropped()
    return library


def verify(ir: str) -> None:
    """Raise `InternalError`, if a text of IR is not valid; far stricter than parsing it."""
    with _LOCK:
        module = _parse(ir, 2)
        try:
            module.verify()
        except RuntimeError as error:
            raise InternalError(f"invalid IR: {error}") from None


def _parse(ir: str, level: int) -> Any:
    try:
        # A context of its own: types and constants go with the module.
        return llvm.parse_assembly(_preamble(level) + ir, llvm.create_context())
    except RuntimeError as error:
        raise InternalError(f"invalid IR: {error}") from None


def _compile(ir: str, level: int) -> bytes:
    """The object code of a text."""
    if VERIFY:
        verify(ir)
    module = _parse(ir, level)
    code: bytes = _target_machine(level).emit_object(module)
    return code


def _exports(ir: str) -> list[str]:
    """The functions that a text defines for others."""
    found = []
    for piece in ("\n" + ir).split("\ndefine ")[1:]:
        if not piece.startswith(("internal ", "private ")):
            begin = piece.index("@") + 1
            found.append(piece[begin : piece.index("(", begin)].strip('"'))
    return found


def _link(code: bytes, exports: list[str], symbols: Mapping[str, int]) -> Library:
    if not _current or _current[0].count >= _LIBRARIES:
        _current[:] = [_Engine()]
    engine = _current[0]
    name = f"library{engine.count}"
    engine.count += 1
    builder = llvm.JITLibraryBuilder().add_object_img(code).add_jit_library("process")
    for symbol, address in symbols.items():
        builder.import_symbol(symbol, address)
    for export in exports:
        builder.export_symbol(export)
    tracker = builder.link(engine.jit, name)
    return Library(engine, tracker, name, {export: tracker[export] for export in exports})


if hasattr(os, "register_at_fork"):
    # A child must not find LLVM locked by a thread that it does not have.
    os.register_at_fork(
        before=_LOCK.acquire, after_in_parent=_LOCK.release, after_in_child=_LOCK.release
    )
