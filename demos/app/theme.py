"""The page's looks as far as gradio knows them; the rest is in page.css. Colours are those of the drawn U."""

import gradio as gr
from gradio.themes.utils import colors, sizes

# Teal is what a cached step runs, in the drawing of the U, on the page and in its charts.
TEAL = colors.Color(
    name="teal",
    c50="#e9f7f9", c100="#d2eef2", c200="#a5dbe4", c300="#6cc3d1", c400="#2fa3b6", c500="#0b7285",
    c600="#0a6475", c700="#095363", c800="#07414e", c900="#062f39", c950="#041f26",
)  # fmt: skip
STONE = colors.Color(
    name="stone",
    c50="#faf9f7", c100="#f2f0ec", c200="#e4e1da", c300="#cfcbc1", c400="#a5a096", c500="#78746b",
    c600="#57544d", c700="#3d3b36", c800="#272622", c900="#1b1a18", c950="#121110",
)  # fmt: skip


def theme() -> gr.themes.Base:
    """Paper and ink, one accent, fonts of the system (the page loads nothing from elsewhere)."""
    return gr.themes.Base(
        primary_hue=TEAL,
        secondary_hue=TEAL,
        neutral_hue=STONE,
        radius_size=sizes.radius_sm,
        font=["ui-sans-serif", "system-ui", "-apple-system", "Segoe UI", "sans-serif"],
        font_mono=["ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "monospace"],
    ).set(
        body_background_fill="*neutral_50",
        body_background_fill_dark="*neutral_950",
        block_background_fill="white",
        block_background_fill_dark="*neutral_900",
        block_border_width="0px",
        block_shadow="none",
        block_label_background_fill="transparent",
        block_label_background_fill_dark="transparent",
        block_label_text_color="*neutral_600",
        block_label_text_color_dark="*neutral_300",
        block_title_text_weight="600",
        block_info_text_color="*neutral_600",
        block_info_text_color_dark="*neutral_400",
        input_background_fill="white",
        input_background_fill_dark="*neutral_950",
        input_border_width="1px",
        input_border_color="*neutral_300",
        input_border_color_dark="*neutral_700",
        button_primary_background_fill="*primary_500",
        button_primary_background_fill_hover="*primary_600",
        button_primary_background_fill_dark="*primary_400",
        button_primary_background_fill_hover_dark="*primary_300",
        button_primary_text_color="white",
        button_primary_text_color_dark="*primary_950",
        slider_color="*primary_500",
        slider_color_dark="*primary_400",
    )
