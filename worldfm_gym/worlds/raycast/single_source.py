"""Single source: compile the same shared functions with Numba for the CPU and Triton for the GPU.

A compiler here takes a plain function, rebinds the names it uses (vocabulary words to the
backend's twins, other shared functions to their compiled form, constants to typed ones) and hands
a copy with those globals to Numba or Triton. The text of geometry, textures and light therefore
exists once, and the two ray casters can't drift apart.
"""

from __future__ import annotations

import types
from collections.abc import Callable
from typing import Any

import numpy as np

from worldfm_gym.worlds.raycast import vocabulary

_WORDS = {
    name: word for name, word in vars(vocabulary).items() if isinstance(word, types.FunctionType)
}
_SHARED_PACKAGE = __name__.rpartition(".")[0]


class Compiler:
    """Turns shared functions into one backend's, each once."""

    def __init__(
        self,
        word: Callable[[str], Any],
        extra_globals: dict[str, Any],
        constant: Callable[[float], Any],
        finish: Callable[[types.FunctionType], Any],
    ) -> None:
        self._word = word
        self._extra_globals = extra_globals
        self._constant = constant
        self._finish = finish
        self._done: dict[types.FunctionType, Any] = {}

    def __call__(self, function: Callable[..., Any]) -> Any:
        """The compiled form of a shared function."""
        assert isinstance(function, types.FunctionType)
        if function not in self._done:
            scope = {name: self._bind(value) for name, value in function.__globals__.items()
                     if name in function.__code__.co_names}  # fmt: skip
            scope["__name__"] = function.__module__
            copy = types.FunctionType(
                function.__code__, scope | self._extra_globals, function.__name__
            )
            copy.__doc__ = function.__doc__
            self._done[function] = self._finish(copy)
        return self._done[function]

    def _bind(self, value: Any) -> Any:
        """What a global of a shared function stands for in this backend."""
        if isinstance(value, types.FunctionType):
            if _WORDS.get(value.__name__) is value:
                return self._word(value.__name__)
            if value.__module__.startswith(_SHARED_PACKAGE):
                return self(value)
        if isinstance(value, int | float):
            return self._constant(value)
        return value


def numba_compiler() -> Compiler:
    """A compiler to Numba, nopython, float32 arithmetic without reassociation or contraction."""
    from numba import njit

    from worldfm_gym.worlds.raycast import words_numba

    def finish(function: types.FunctionType) -> Any:
        code = function.__code__
        # A Python float literal would promote everything it touches to float64.
        constants = tuple(np.float32(c) if type(c) is float else c for c in code.co_consts)
        function.__code__ = code.replace(co_consts=constants)
        return njit(
            nogil=True, error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True
        )(function)

    def constant(value: float) -> Any:
        return np.float32(value) if isinstance(value, float) else value

    def word(name: str) -> Any:
        return getattr(words_numba, name)

    return Compiler(word, {"Lanes": Any, "Memory": Any}, constant, finish)


def triton_compiler() -> Compiler:
    """A compiler to Triton device functions.

    Under TRITON_INTERPRET=1 the functions stay plain Python that the interpreter runs on its
    tensors: straight-line code needs no rewriting, and a call is a hundred times cheaper.
    """
    import triton
    import triton.language as tl

    from worldfm_gym.worlds.raycast import words_triton

    compiled = isinstance(words_triton.where, triton.runtime.JITFunction)

    def word(name: str) -> Any:
        twin = getattr(words_triton, name)
        return twin if compiled else twin.fn

    def keep(function: types.FunctionType) -> Any:
        return function

    def plain(value: float) -> Any:
        return value

    # The compiler resolves annotations among a function's globals.
    scope = {"tl": tl, "Lanes": tl.tensor, "Memory": tl.tensor}
    if compiled:
        return Compiler(word, scope, tl.constexpr, triton.jit)
    return Compiler(word, scope, plain, keep)
