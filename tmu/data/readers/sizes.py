"""Many sizes of pictures in one sentence: the commonest, the smallest and the largest."""

from collections import Counter

_SHOWN = 3


def said_sizes(sizes: Counter[tuple[int, int]]) -> str:
    """`120 of 640x480, 80 of 480x640, 5 of 3 other sizes; smallest 32x32, largest 4000x3000`; empty for no pictures.

    sizes: how many pictures have which (width, height).
    """
    if not sizes:
        return ""
    # of equal counts the larger one first, so that the sentence depends on nothing else
    ranked = sorted(sizes.items(), key=lambda each: (-each[1], -each[0][0] * each[0][1], each[0]))
    said = [f"{number:,} of {_named(size)}" for size, number in ranked[:_SHOWN]]
    if len(ranked) == 1:
        return said[0]
    rest = ranked[_SHOWN:]
    if rest:
        more = "another size" if len(rest) == 1 else f"{len(rest):,} other sizes"
        said.append(f"{sum(number for _, number in rest):,} of {more}")
    by_area = sorted(sizes, key=lambda size: (size[0] * size[1], size))
    return f"{', '.join(said)}; smallest {_named(by_area[0])}, largest {_named(by_area[-1])}"


def _named(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"
