"""What inactive blocks held when they were last computed: the halo of the blocks beside them."""

from __future__ import annotations

from torch import Tensor

from argos.engines.block_map import BlockMap, Blocks, one_block, source_of, spread_on


class Held:
    """The maps of one network on the pictures of one camera, each block as it was when last computed.

    Only maps that a layer reads beyond its own blocks are held: convolutions larger than one pixel, pools,
    interpolations. All are as large as those of the dense network, whatever is active and however long it
    runs: 95 MB for ``unet_lite`` on pictures 640 pixels wide, 161 MB for ``asbunet``, 68 MB for ``ssdisb``. A block
    that was never computed holds zeros, and all do for pictures of another size. How old a block is, and whether the
    picture has changed under it, does not matter: where somebody has walked away it is worse than zeros.
    """

    def __init__(self) -> None:
        self._maps: list[Tensor] = []  # (1, h, w, C), in the order in which a pass reads them
        self._shape: tuple[int, ...] = ()
        self._read: dict[int, tuple[Blocks, BlockMap]] = {}  # in this pass; blocks are held so that no id comes twice

    @property
    def nbytes(self) -> int:
        """Bytes of all maps."""
        return sum(held.numel() * held.element_size() for held in self._maps)

    def forget(self) -> None:
        """Hold zeros again."""
        self._maps, self._read = [], {}

    def begin(self, shape: tuple[int, ...]) -> None:
        """Begin a pass.

        Args:
            shape: of the image.
        """
        if shape != self._shape:
            self.forget()
        self._shape, self._read = shape, {}

    def end(self) -> None:
        """End a pass: its maps are let go."""
        self._read = {}

    def around(self, x: BlockMap) -> BlockMap:
        """Remember the active blocks of a map.

        Returns:
            The map as one block of its size: active blocks as they are, the others as they were. It changes when the
            same map of the next picture is remembered.

        Raises:
            ValueError: the network does not take the same steps as before.
        """
        blocks = x.blocks
        if id(blocks) not in self._read:
            shape = (1, *x.grid.size, blocks.tape.shape[3])
            n = len(self._read)
            if n == len(self._maps):
                self._maps.append(blocks.tape.new_zeros(shape))
            held = self._maps[n]
            if held.shape != shape:
                raise ValueError("the network takes other steps than at the picture before")
            spread_on(held[0], source_of(blocks), clear=False)
            self._read[id(blocks)] = blocks, one_block(held, x.node)
        return self._read[id(blocks)][1]
