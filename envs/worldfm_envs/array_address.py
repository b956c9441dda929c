"""Arrays by address: how one kernel reads arrays of many sizes without a copy.

A table holds ``array.ctypes.data`` of each; whoever fills it keeps the arrays alive and contiguous.
"""

from __future__ import annotations

from typing import Any

from numba import types
from numba.core import cgutils
from numba.extending import intrinsic


@intrinsic
def pointer_to(typing_context: Any, address: Any) -> Any:
    """A pointer for `numba.carray` to what lies at an address, int64."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.inttoptr(args[0], cgutils.voidptr_t)

    return types.voidptr(types.int64), codegen
