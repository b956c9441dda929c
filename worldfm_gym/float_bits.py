"""The bits of float32 numbers in compiled kernels: for keys that sort, and for powers of two."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic


@intrinsic
def bits_of(typing_context: Any, value: Any) -> Any:
    """The bit pattern of a float32 as int32; of positive numbers, in the same order."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.bitcast(args[0], cgutils.int32_t)

    return types.int32(types.float32), codegen


@intrinsic
def float_of(typing_context: Any, value: Any) -> Any:
    """The float32 of a bit pattern, int32."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.bitcast(args[0], ir.FloatType())

    return types.float32(types.int32), codegen
