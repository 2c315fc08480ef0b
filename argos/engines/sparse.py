"""Gather-scatter: an unmodified network runs only on the active blocks of its input."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from typing import Any, Literal, get_args

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from argos.engines.block_conv import blocks_of
from argos.engines.block_functions import (
    FUNCTIONS,
    LAYERS,
    REARRANGING,
    WEIGHTED,
    WHOLE,
    becomes_map,
    changed,
    counted,
)
from argos.engines.block_grid import BLOCK, block_grid
from argos.engines.block_held import Held
from argos.engines.block_map import BlockMap, dense, masked, whole
from argos.engines.block_pass import LayerRun, Pass, Scratch
from argos.engines.block_values import on_blocks, write
from argos.engines.block_weights import BlockWeights
from argos.engines.exact import Noise, Plan, follows_pixels
from argos.engines.fold import fold_batch_norm, tensors_in
from argos.errors import UsageError
from argos.types import Size

Function = Callable[..., Any]

_ABOUT = {Tensor.dim, Tensor.size, Tensor.numel, Tensor.__len__, Tensor.is_floating_point, Tensor.stride}

Semantics = Literal["masked", "previous", "exact"]

DENSE_ABOVE = 0.5
"""Share of active blocks (``exact``: of the multiply-accumulates) above which the whole network runs densely.

Measured at 352x640 (benchmarks/sparse.py --networks ssdisb): the shipped detector, which gains least, breaks even at
60 % on one thread and at 49 % on two (OMP_NUM_THREADS=2): these help dense convolutions more than the kernels.
"""


class SparseNetwork:
    """A trained network that computes only the active blocks of its input.

    Blocks stay gathered from the first convolution to the outputs: ``BlockMap`` takes the place of a map. What a
    network does with a map that blocks cannot do, such as a global mean, runs on the dense map with zeros in the
    inactive blocks; ``coverage`` names it.

    ``masked``: what it returns equals ``masked_dense``, the network in which the output of each convolution,
    normalisation, pooling, interpolation, activation and sum is multiplied by the mask of active blocks at its size.
    Near the edge of the mask this differs from the unmasked network, whose layers see more.

    ``previous``: as ``masked``, but a layer that reads beyond its blocks finds there what the blocks beside them held
    when they were last computed (``Held``), not zeros. Where all of these were computed on the same picture, with all
    that they depend on, the active blocks equal those of the unmasked network. What reads a whole map sees zeros still.

    ``exact``: each layer computes as many blocks more as later layers need, so that the active blocks of the outputs
    equal those of the unmasked network. Not for networks that pool a whole map, such as squeeze-and-excite, whatever
    they call it: of maps that are cut or rearranged each value has to be made of one pixel (``follows_pixels``).

    Either way the sums run in another order than in the dense network, so the last bits differ, and outputs are 0
    outside of the active blocks, which a sigmoid that follows takes for 0.5: leave those pixels out with
    ``active_mask``. Above ``dense_above`` the unmasked network runs. A part of a map, such as ``x[:, :1]``, is a copy:
    a network that writes to one and reads the other is refused.

    One instance belongs to one thread. The network is copied; weights changed later are not seen.

    Args:
        network: takes ``(1, C, H, W)``; left as it is.
        block: side of a block in pixels of the image.
        dense_above: share of active blocks (``exact``: of multiply-accumulates), 0..1, above which all is dense.
        semantics: see above.

    Attributes:
        layers: how each layer was run in the last ``forward``.

    Raises:
        ValueError: another ``semantics``.

    Reference:
        Ren et al., SBNet, arXiv:1801.02108; Verelst and Tuytelaars, BlockCopy, arXiv:2108.09376.
    """

    def __init__(
        self,
        network: nn.Module,
        block: int = BLOCK,
        dense_above: float = DENSE_ABOVE,
        semantics: Semantics = "masked",
    ) -> None:
        if semantics not in get_args(Semantics):
            raise ValueError(f"semantics should be masked, previous or exact, got {semantics!r}")
        self.layers: tuple[LayerRun, ...] = ()
        self.block = block
        self.semantics = semantics
        self._dense_above = dense_above
        self._original = copy.deepcopy(network).eval()
        self._folded: nn.Module | None = None  # built at the first image: folding has to see a forward pass
        self._names: dict[int, str] = {}
        self._plans: dict[tuple[int, ...], Plan] = {}
        self._scratch = Scratch()
        self._weights = BlockWeights()
        self._followed: dict[tuple[int, ...], dict[int, tuple[float, float]]] = {}

    @property
    def executed_macs(self) -> int:
        """Multiply-accumulates of the last ``forward``."""
        return sum(layer.executed_macs for layer in self.layers)

    @property
    def dense_macs(self) -> int:
        """Multiply-accumulates that the dense network needs for the last image."""
        return sum(layer.dense_macs for layer in self.layers)

    def coverage(self) -> tuple[LayerRun, ...]:
        """What ran on whole maps in the last ``forward``, and why."""
        return tuple(layer for layer in self.layers if layer.mode == "dense")

    def pays(self, active: NDArray[np.bool_]) -> bool:
        """Whether a run on blocks is expected to take less time than the whole image.

        Args:
            active: ``(H, W)`` bool. In ``exact`` semantics the answer to the first mask of a size is yes: what its
                blocks need besides is known when the network has been run once.
        """
        size = (active.shape[0], active.shape[1])
        if self.semantics != "exact":
            share = float(block_grid(active, size, self.block).active.mean())
        else:
            plan = next((plan for shape, plan in list(self._plans.items()) if shape[2:] == size), None)
            share = 0.0 if plan is None else plan.share(plan.needed(active))
        return share <= self._dense_above

    def active_mask(self, active: NDArray[np.bool_], size: Size) -> NDArray[np.bool_]:
        """Pixels of a map or output of the network that are computed, ``(h, w)`` of ``size``."""
        return block_grid(active, size, self.block).mask()

    @torch.inference_mode()
    def forward(self, image: Tensor, active: NDArray[np.bool_], held: Held | None = None) -> Any:
        """Run the network.

        Args:
            image: ``(1, C, H, W)``, as the network takes it.
            active: ``(H, W)`` bool.
            held: what was computed for this camera before, in ``previous`` semantics; brought up to date. Zeros without
                it.

        Returns:
            What the network's ``forward`` returns.

        Raises:
            ValueError: ``held`` in other semantics, more than one image, a mask of another shape or type, or a network
                that changes a map and reads a part that it took of it before.
            UsageError: a network that pools a whole map in ``exact`` semantics.
        """
        if image.ndim != 4 or len(image) != 1:
            raise ValueError(f"image should be (1, C, H, W), got {tuple(image.shape)}")
        if active.dtype != np.bool_ or active.shape != image.shape[2:]:
            raise ValueError(f"active should be bool {tuple(image.shape[2:])}, got {active.dtype} {active.shape}")
        if held is not None and self.semantics != "previous":
            raise ValueError(f"held belongs to previous semantics, these are {self.semantics}")
        network = self._network(image)
        image = image.contiguous(memory_format=torch.channels_last)
        run = Pass(np.ascontiguousarray(active), self.block, scratch=self._scratch, weights=self._weights)
        run.followed = self._followed.setdefault(tuple(image.shape), {})
        run.held = held
        if self.semantics == "exact":
            plan = self._plan(network, image)
            run.needed = plan.needed(active)
            share = plan.share(run.needed)
        else:
            share = float(run.mask_grid((active.shape[0], active.shape[1])).active.mean())
        out = self._run(network, image, run, share)
        self.layers = tuple(run.layers)
        return out

    def _run(self, network: nn.Module, image: Tensor, run: Pass, share: float) -> Any:
        """Run on blocks, or densely."""
        if share > self._dense_above:
            if run.held is not None:
                run.held.forget()  # older than what is computed now, and not renewed
            with _Counting(run, self._names, f"{share:.0%} of the blocks are active"):
                return network(image)
        if run.held is not None:
            run.held.begin(tuple(image.shape))
        with _OnBlocks(run, self._names, self.semantics == "exact") as mode:
            out = network(image)
        mode.refuse_outdated(out)
        if run.held is not None:
            run.held.end()
        return whole(out)

    def _network(self, image: Tensor) -> nn.Module:
        """The folded copy."""
        if self._folded is None:
            self._folded = fold_batch_norm(self._original, image)
            self._folded.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
            for name, layer in self._folded.named_modules():
                self._names.update((id(parameter), name) for parameter in layer.parameters(recurse=False))
            self._weights = BlockWeights(self._folded.parameters())
        return self._folded

    def _plan(self, network: nn.Module, image: Tensor) -> Plan:
        """The steps of the network at a size of image, from a pass in which nothing is active."""
        shape = tuple(image.shape)
        if shape not in self._plans:
            run = Pass(np.zeros(shape[2:], np.bool_), self.block, steps=[])
            with _OnBlocks(run, self._names, True):
                out = network(image)
            plan = Plan.of(run, out)
            if run.returned:
                self._check_rearranged(network, image, plan)
            self._plans[shape] = plan
        return self._plans[shape]

    def _check_rearranged(self, network: nn.Module, image: Tensor, plan: Plan) -> None:
        """Refuse what a network does with maps that left the blocks, unless it follows their pixels."""
        size = (image.shape[2], image.shape[3])

        def outputs(noise: Noise) -> Any:
            run = Pass(np.zeros(size, np.bool_), self.block)
            with _OnBlocks(run, self._names, True, noise.map):
                return whole(network(image))

        if not follows_pixels(outputs, size, self.block, {size, *(step.size for step in plan.steps)}):
            raise UsageError(
                "the outputs mix or move pixels of a map that was rearranged or cut, which engine.sparse: exact cannot "
                "follow; set it to masked"
            )


class _OnBlocks(TorchFunctionMode):
    """Computes with the blocks of maps whatever a network does with them."""

    def __init__(
        self, run: Pass, names: dict[int, str], exact: bool, made: Callable[[BlockMap], Tensor] = dense
    ) -> None:
        super().__init__()
        self.run = run
        self.names = names
        self.exact = exact
        self.made = made  # what a function reads that cannot run on blocks
        self.incomplete: dict[int, Tensor] = {}  # made of maps with zeros outside; held so that no id comes twice
        self.views: dict[int, tuple[Tensor, BlockMap]] = {}  # dense copies, of which the network holds views, of maps
        self.outdated: set[int] = set()  # maps and copies that missed a change in place of one another

    def __torch_function__(
        self, func: Function, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = dict(kwargs or {})
        if func in _ABOUT or getattr(func, "__name__", "") == "__get__":
            return func(*args, **kwargs)
        args = _in_order(func, args, kwargs)
        changes = changed(func, args, kwargs)
        for x in changes:
            if not isinstance(x, BlockMap):
                self.run.weights.written(x)
        if self.views:
            self.refuse_outdated([args, kwargs])
            for written in set(map(_place, changes)):
                for x in {x for place, (_, x) in self.views.items() if written in (place, id(x))}:
                    same = {id(x), *(place for place, (_, other) in self.views.items() if other is x)}
                    self.outdated |= same - {written}
        if func in WEIGHTED:
            self.run.layer = self.names.get(id(args[1]), func.__name__)
        if func in LAYERS and args[0].ndim == 4 and len(args[0]) != 1:
            raise ValueError(f"layer {self.run.layer}: expected one map of the image, got a batch of {len(args[0])}")
        incomplete = bool(self.incomplete) and any(id(x) in self.incomplete for x in tensors_in([args, kwargs]))
        reads_blocks = _reads_blocks(args) or _reads_blocks(kwargs.values())
        if incomplete and (func in LAYERS or reads_blocks):
            raise self._not_exact(func, "reads a map that was rearranged")
        out = NotImplemented
        if func in LAYERS or reads_blocks:
            handler = FUNCTIONS.get(func) if kwargs.get("out") is None else None
            out = handler(self.run, func, *args, **kwargs) if handler else NotImplemented
            if out is NotImplemented:
                return self._dense(func, args, kwargs)
        elif func is F.linear:
            out = counted(self.run, func, args, kwargs, "linear layer")
        else:
            out = func(*args, **kwargs)
        if incomplete:
            self.incomplete.update((id(x), x) for x in tensors_in(out))
        return out

    def _dense(self, func: Function, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run a function that cannot run on blocks; of a map that it makes only the active blocks are kept."""
        maps = [x for x in tensors_in([args, kwargs]) if isinstance(x, BlockMap)]
        written = changed(func, args, kwargs)
        in_place = any(isinstance(x, BlockMap) for x in written)
        if self.exact and in_place:
            raise self._not_exact(func, "changes a map in place")
        why = "reads a whole map" if func.__name__ in WHOLE else "is not known to the sparse engine"
        if self.exact and maps:
            if func not in REARRANGING:
                raise self._not_exact(func, why)
            self.run.returned.extend(x.node for x in maps)
        if func in LAYERS and maps and args[0] is maps[0]:
            args = (self.run.around(maps[0]), *args[1:])
        whole_args, whole_kwargs = whole((args, kwargs), self.made)
        if func in WEIGHTED:
            x = args[0]
            one = " of one pixel" if on_blocks(x) is False and x.is_floating_point() else ""
            out = counted(
                self.run, func, whole_args, whole_kwargs, f"a map{one}" if one else f"{x.dtype} on {x.device}"
            )
        else:
            out = func(*whole_args, **whole_kwargs)
            if maps:
                label = f"{func.__name__} after {self.run.layer}"
                self.run.layers.append(LayerRun(label, "dense", why, 0, 0, 0, 0))
        if in_place:
            return self._write_back(func, written, changed(func, whole_args, whole_kwargs), out)
        if not self.exact and becomes_map(func, (*args, *kwargs.values()), maps, out):
            grid = self.run.mask_grid((out.shape[2], out.shape[3]))
            return BlockMap([blocks_of(out, grid)], grid, self.run.made)
        if not self.exact and func in LAYERS and isinstance(out, Tensor) and out.ndim == 4:
            return masked(out, self.run.mask_grid((out.shape[2], out.shape[3])))
        self._note_views([args, kwargs], [whole_args, whole_kwargs], out)
        if self.run.steps is not None and maps:
            self.incomplete.update((id(x), x) for x in tensors_in(out))
        return out

    def _write_back(self, func: Function, written: list[Tensor], copies: list[Tensor], out: Any) -> Any:
        """Keep the active blocks of what a function wrote to dense copies of maps.

        Returns:
            The result of the function, with the map where that was its copy.
        """
        for x, copied in zip(written, copies, strict=True):
            if isinstance(x, BlockMap):
                if copied.shape != x.shape or copied.dtype != x.dtype:
                    raise ValueError(f"{func.__name__} after layer {self.run.layer} makes another tensor of a map")
                write(x, BlockMap([blocks_of(copied, x.grid)], x.grid, x.node))
                out = x if out is copied else out
        return out

    def _note_views(self, given: Any, dense: Any, out: Any) -> None:
        """Remember of which maps a result is a view: what is written to one does not reach the other."""
        both = zip(tensors_in(given), tensors_in(dense), strict=True)
        copies = {_place(y): (y, x) for x, y in both if isinstance(x, BlockMap)}
        self.views.update({place: copies[place] for place in map(_place, tensors_in(out)) if place in copies})

    def refuse_outdated(self, value: Any) -> None:
        """Refuse maps of which a part was written to, and parts of maps that were.

        Raises:
            ValueError: one is among the tensors in ``value``.
        """
        if self.outdated and any(_place(x) in self.outdated for x in tensors_in(value)):
            raise ValueError(
                f"after layer {self.run.layer}: of a map and a part of it one was changed in place and the other is "
                "read, which blocks cannot follow; change it out of place"
            )

    def _not_exact(self, func: Function, why: str) -> UsageError:
        return UsageError(
            f"{func.__name__} after layer {self.run.layer} {why}, which engine.sparse: exact cannot follow; "
            "set it to masked"
        )


def _in_order(func: Function, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, ...]:
    """The arguments with ``input`` and ``weight``, which may be given by name, where they are looked for."""
    if not args and "input" in kwargs:
        args = (kwargs.pop("input"),)
    if func in WEIGHTED and len(args) == 1:
        args = (*args, kwargs.pop("weight"))
    return args


def _place(x: Tensor) -> int:
    """Tells apart what lies in different memory, as long as it is held."""
    return id(x) if isinstance(x, BlockMap) else x.untyped_storage().data_ptr()


def _reads_blocks(values: Iterable[Any]) -> bool:
    """Whether a map of blocks is among some arguments, or in a list of them."""
    for value in values:
        if isinstance(value, BlockMap):
            return True
        if isinstance(value, list | tuple) and _reads_blocks(value):
            return True
    return False


class _Counting(TorchFunctionMode):
    """Counts what a dense network computes."""

    def __init__(self, run: Pass, names: dict[int, str], reason: str) -> None:
        super().__init__()
        self.run = run
        self.names = names
        self.reason = reason

    def __torch_function__(
        self, func: Function, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = dict(kwargs or {})
        if func not in WEIGHTED:
            return func(*args, **kwargs)
        args = _in_order(func, args, kwargs)
        self.run.layer = self.names.get(id(args[1]), func.__name__)
        return counted(self.run, func, args, kwargs, self.reason)
