"""Wan Animate: Wan, with a face's motion added behind every fifth block (arXiv 2509.14055)."""

from mmcache.extend import HIDDEN, If, register, transformer, transformer_call

MORE = {
    "encoder_hidden_states_image": If("image_dim", "b 257 image_dim"),
    "pose_hidden_states": "b latent_channels f h w",
    "face_pixel_values": "b 3 4*f-3 motion_encoder_size motion_encoder_size",
}

register(
    transformer(
        "Wan Animate",
        "WanAnimateTransformer3DModel",
        streams={"blocks": HIDDEN},
        side_modules={"face_adapter": "inject_face_latents_blocks"},
        example_call=transformer_call(
            "b in_channels f+1 h w",  # a reference image before them
            "text_dim",
            more=MORE,
            pixels="720 1280",
            frames="77",
            tokens="512",
        ),
    )
)
