"""Video transformers that go chunk by chunk and keep keys and values of the chunks before in every block."""

from mmcache.extend import refused, register

register(
    refused(
        "autoregressive video transformer",
        *("AnyFlowFARTransformer3DModel", "SanaWMLTX2RefinerTransformer3DModel"),
        *("WanAnimate2Transformer3DModel",),
        reason="keeps keys and values of the chunks before in each of its blocks, and a block that does not "
        "run would not keep them: run it without a cache",
    )
)
