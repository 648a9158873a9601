"""The examples of a tab: a row of small images, each of which compares at one click."""

import gradio as gr

from mmcache_demos.app.demo_tabs import DrawingTab
from mmcache_demos.app.stored import thumbnails


def example_buttons(tab: DrawingTab) -> list[gr.Button]:
    """Build them where they are called for, in the order of the tab's examples.

    The images are backgrounds of the buttons, so that no folder of the machine is named.
    """
    images = thumbnails(tab.task.name)
    rules = "".join(
        f'.mm-example.n{place}.{tab.task.name}::before{{background-image:url("{image}")}}'
        for place, image in enumerate(images)
    )
    gr.HTML(f'<style>{rules}</style><p class="mm-label">Or one of these</p>', apply_default_css=False)
    with gr.Row(elem_classes="mm-examples"):
        return [
            gr.Button(
                example.label, min_width=60, size="sm", elem_classes=f"mm-example n{place} {tab.task.name}"
            )
            for place, example in enumerate(tab.examples)
        ]
