"""aMUSEd: transformer layers between two convolutional blocks, over image tokens (arXiv 2401.01808)."""

from mmcache.extend import HIDDEN, Adapter, BlockStack, Hold, Plan, Uniform, register

register(
    Adapter(
        name="aMUSEd U-ViT",
        denoisers=("UVit2DModel",),
        # At branch 0 the convolutional blocks alone are what stays.
        layout=BlockStack({"transformer_layers": HIDDEN}, ends=0),
        default_plan=Plan(
            Uniform(2),
            Hold(),
            branch=0,
            evidence="none: not measured on a trained model. Tokens are unmasked in jumps, so nothing is "
            "extrapolated, and its runs of 12 steps leave little to reuse",
        ),
        sample="input_ids",
        timestep=None,
    )
)
