"""CapturedCalls: CUDA graphs of a function of tensors, one launch for the host each."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

Tensors = tuple[Tensor, ...]

_GRAPHS = 8  # shapes whose graphs are kept


class CapturedCalls:
    """Calls a function by replaying a CUDA graph of it, one graph for each shape of its arguments.

    The function must not wait for the device. Results are copies: a later call leaves them alone.
    The graphs of the shapes used last are kept.
    """

    def __init__(self, function: Callable[..., Tensors], *, graphs: int = _GRAPHS) -> None:
        """Capture nothing yet.

        Args:
            function: Takes and returns CUDA tensors.
            graphs: Number of graphs to keep.
        """
        self._function = function
        self._limit = graphs
        self._held: list[Tensor] = []
        self._kept: OrderedDict[object, tuple[torch.cuda.CUDAGraph, Tensors, Tensors]] = (
            OrderedDict()
        )
        self._pool: Any = None

    def __call__(self, *inputs: Tensor, held: Sequence[Tensor] = ()) -> Tensors:
        """What the function returns for these tensors.

        Args:
            inputs: Arguments of the function; their values are copied.
            held: Whatever else the function reads. Its values may change in place; once one of
                these is another tensor, all graphs are captured anew.
        """
        if [id(tensor) for tensor in held] != [id(tensor) for tensor in self._held]:
            self._kept.clear()
            self._held = list(held)
        key = tuple((tuple(tensor.shape), tensor.dtype, tensor.device) for tensor in inputs)
        if key not in self._kept:
            while len(self._kept) >= self._limit:
                self._kept.popitem(last=False)
            self._kept[key] = self._capture(inputs)
        self._kept.move_to_end(key)
        graph, static, results = self._kept[key]
        torch._foreach_copy_(static, inputs)
        graph.replay()
        return tuple(result.clone() for result in results)

    def _capture(self, inputs: Tensors) -> tuple[torch.cuda.CUDAGraph, Tensors, Tensors]:
        static = tuple(tensor.clone() for tensor in inputs)
        # Once outside of the graph: kernels are compiled and libraries start on first use.
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            self._function(*static)
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        # One pool: the graphs run one after the other, and what outlives a run is not in it.
        if not self._kept:
            self._pool = torch.cuda.graph_pool_handle()
        with torch.cuda.graph(graph, pool=self._pool):
            results = self._function(*static)
        return graph, static, results
