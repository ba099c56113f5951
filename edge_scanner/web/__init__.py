"""What the pages of box and centre share: the typeface and the plot, in `vendor`, as their makers published them."""

__all__: list[str] = []
