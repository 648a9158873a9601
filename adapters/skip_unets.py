"""U-Nets made of diffusers' blocks: they differ in nothing but their class and the arguments of a call."""

from mmcache.extend import Adapter, SkipUNet, UNetCall, register

TEXT = {"encoder_hidden_states": "b t d"}
IMAGE = UNetCall({"sample": "b c h w"} | TEXT)
VIDEO = UNetCall({"sample": "b c f h w"} | TEXT)
MOTION = UNetCall({"sample": "b c f h w", "encoder_hidden_states": "bf t d"})
SVD = UNetCall({"sample": "b f c h w", "encoder_hidden_states": "b 1 d", "added_time_ids": "b i"})
I2VGEN = UNetCall(
    {"sample": "b c f h w", "fps": "b", "image_latents": "b c f h w", "image_embeddings": "b d"} | TEXT
)
LAYOUT = SkipUNet()

for adapter in (
    # Stable Diffusion 1.x, 2.x, SDXL and all that share the class.
    Adapter(
        "image U-Net",
        ("UNet2DConditionModel",),
        LAYOUT,
        family="image",
        tasks={"mask_image": "inpainting"},
        example_call=IMAGE,
    ),
    # Without text: DDPM, DDIM, LDM, score-SDE.
    Adapter("unconditional U-Net", ("UNet2DModel",), LAYOUT, example_call=UNetCall({"sample": "b c h w"})),
    # ModelScope, Zeroscope: temporal convolutions and attentions behind the spatial ones.
    Adapter("text-to-video U-Net", ("UNet3DConditionModel",), LAYOUT, example_call=VIDEO),
    # AnimateDiff, PIA (arXiv 2307.04725): an image U-Net with motion modules.
    Adapter("motion U-Net", ("UNetMotionModel",), LAYOUT, family="video", example_call=MOTION),
    # Stable Video Diffusion (arXiv 2311.15127): layers that mix a spatial and a temporal branch.
    Adapter("image-to-video U-Net", ("UNetSpatioTemporalConditionModel",), LAYOUT, example_call=SVD),
    # I2VGen-XL (arXiv 2311.04145): the first image stands beside the latents.
    Adapter("I2VGen-XL U-Net", ("I2VGenXLUNet",), LAYOUT, example_call=I2VGEN),
    # AudioLDM 2 (arXiv 2308.05734): a spectrogram's U-Net, several attentions a layer.
    Adapter("audio U-Net", ("AudioLDM2UNet2DConditionModel",), LAYOUT),
    # Versatile Diffusion's text U-Net (arXiv 2211.08332): linear layers in place of convolutions.
    Adapter("flat U-Net", ("UNetFlatConditionModel",), LAYOUT, example_call=IMAGE),
    # A Stable Diffusion U-Net with a small control net inside (arXiv 2312.06573).
    Adapter("ControlNet-XS U-Net", ("UNetControlNetXSModel",), SkipUNet(two_nets=True)),
):
    register(adapter)
