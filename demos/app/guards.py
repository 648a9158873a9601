"""What gradio does before our own functions are asked, made safe: its queue, its values, its editor."""

import io
from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Any

import gradio as gr
from PIL import Image

from mmcache.tools.running.characters import half_character
from mmcache_demos.app.limits import Limits
from mmcache_demos.app.messages import in_a_toast

RUNS = "runs"  # the queue of whatever takes the processor for long
SESSION = 64  # letters of its name; gradio's page has 11
MOST_LAYERS = 4  # of an editor that has no button for more than one
PICTURES = 3  # of full size in an edit: what is behind, what is painted, both together
EDITS = 50  # values of editors that were sent and not yet read
FORMATS = ("PNG", "JPEG", "WEBP")  # what a browser sends of a canvas


def held_runs(page: gr.Blocks) -> list[str]:
    """The sessions whose runs gradio holds, each as often as it waits or runs."""
    queue = page._queue
    waiting = queue.event_queue_per_concurrency_id.get(RUNS)
    running = [event for job in queue.active_jobs if job for event in job]
    events = [*(waiting.queue if waiting else ()), *running]
    return [event.session_hash for event in events if event.fn.concurrency_id == RUNS]


def refuse_more_runs(page: gr.Blocks, limits: Limits) -> None:
    """Let the queue itself keep the limit on waiting, whichever way a run gets there.

    A page names its session in few letters. gradio keeps each name, and files an empty one under two names,
    of which it then misses one.
    """
    queue = page._queue
    push = queue.push

    async def limited(body: Any, request: Any, username: str | None) -> Any:
        body.session_hash = body.session_hash or None
        if len(body.session_hash or "") > SESSION:
            return False, f"The name of a session has at most {SESSION} letters.", "validator_error"
        fn = page.fns.get(body.fn_index)
        if fn is not None and fn.concurrency_id == RUNS and len(held_runs(page)) > limits.waiting:
            return False, f"{limits.waiting} runs are waiting already: try again soon", "queue_full"
        return await push(body=body, request=request, username=username)

    queue.push = limited  # type: ignore[method-assign]


def refuse_quietly(page: gr.Blocks) -> None:
    """Answer values that no page sends in one sentence: gradio prints a traceback for each."""
    read = page.preprocess_data

    async def quiet(event: Any, inputs: Any, *args: Any, **options: Any) -> Any:
        if event.fn is None:  # its work is the browser's, which does not send it
            raise gr.Error("There is nothing to do for the server.", print_exception=False)
        try:
            check_characters(inputs)
            return await read(event, inputs, *args, **options)
        except gr.Error as error:
            error.print_exception = False
            raise
        except Exception as error:
            words = str(error).partition("\n")[0][:200]
            raise gr.Error(in_a_toast(ValueError(words)), print_exception=False) from None

    page.preprocess_data = quiet  # type: ignore[assignment, method-assign]


def check_characters(inputs: Any) -> None:
    """Refuse half a character anywhere in what was sent: no answer that repeats it can be sent back.

    Raises:
        ValueError: there is one.
    """
    if half := half_character(inputs):
        raise ValueError(f"{half}: is half a character")


def guard_editor(editor: gr.ImageEditor, limits: Limits) -> None:
    """Look at the sizes of whatever an editor is given before any of it is decoded."""
    read = editor.preprocess

    def checked(payload: Any) -> Any:
        sent = payload
        if payload is not None and payload.id is not None:
            sent = editor.blob_storage.get(payload.id)
        check_edit(sent, limits)
        return read(payload)

    editor.preprocess = checked  # type: ignore[method-assign]
    editor.blob_storage = Blobs()
    editor.accept_blobs = accepting(editor.accept_blobs, limits)  # type: ignore[method-assign]


def accepting(accept: Callable[[Any], Any], limits: Limits) -> Callable[[Any], Any]:
    """gradio's way to take layers one by one, for those that an editor can have."""

    def accept_blobs(data: Any) -> None:
        index = str(data.data.get("index") or 0)
        if index not in {"null", "undefined", *map(str, range(MOST_LAYERS))} or len(data.files) != 1:
            raise gr.Error(f"An edit has at most {MOST_LAYERS} layers.", print_exception=False)
        limits.check("upload_bytes", len(data.files[0][1]))
        accept(data)

    accept_blobs._is_server_fn = True  # type: ignore[attr-defined]
    return accept_blobs


class Blobs(OrderedDict[str, Any]):
    """Edits that were sent and not yet read; the oldest makes room."""

    def __setitem__(self, name: str, value: Any) -> None:
        super().__setitem__(name, value)
        while len(self) > EDITS:
            self.popitem(last=False)


def check_edit(sent: Any, limits: Limits) -> None:
    """Refuse an edit with too many layers or pixels.

    Args:
        sent: with `background`, `layers`, `composite`: files, or their bytes.

    Raises:
        gr.Error: in one sentence.
    """
    if sent is None:
        return
    layers = sent.layers or []
    if len(layers) > MOST_LAYERS:
        raise gr.Error(
            f"{len(layers)} layers; at most {MOST_LAYERS} are read. Clear some.", print_exception=False
        )
    pixels = largest = 0
    for source in parts_of(sent):
        try:
            with Image.open(source, formats=FORMATS) as image:  # reads the size, and no pixel
                pixels += image.width * image.height
                largest = max(largest, image.width * image.height)
        except Exception:  # whatever Pillow says of files that are none
            raise gr.Error("That is no picture.", print_exception=False) from None
        if largest > limits.upload_pixels or pixels > PICTURES * limits.upload_pixels:
            most = f"{limits.upload_pixels / 1e6:.3g}"
            raise gr.Error(f"A picture has at most {most} million pixels.", print_exception=False)


def parts_of(sent: Any) -> Iterator[Any]:
    """What Pillow can open of an edit."""
    for part in (sent.background, *(sent.layers or []), sent.composite):
        if part is not None:
            yield io.BytesIO(part) if isinstance(part, bytes) else part.path
