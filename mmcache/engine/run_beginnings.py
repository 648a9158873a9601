"""How a run begins: what is looked at once, before anything is cached in it."""

from mmcache.architectures.component import Denoiser
from mmcache.compat.attention_readers import attention_readers, modules_that_are_read
from mmcache.compat.layer_readers import read_layers, readers
from mmcache.compat.model_settings import ModelSettings
from mmcache.compat.other_caches import refuse_other_cache
from mmcache.engine.few_steps import Once
from mmcache.engine.processes import Processes, split_decision
from mmcache.engine.run import Run
from mmcache.engine.run_views import RunViews
from mmcache.engine.verification import CutVerification
from mmcache.errors import UnsupportedPipelineError
from mmcache.patching.plain_model import plain_model
from mmcache.plans.plan import Plan


class RunBeginnings:
    """Begins the runs of one denoiser.

    Args:
        part: the denoiser, and what describes it.
        plan: what is done.
        verification: of its cuts.
    """

    def __init__(self, part: Denoiser, plan: Plan, verification: CutVerification) -> None:
        self._part = part
        self._model = part.model
        self._adapter = part.adapter
        self._plan = plan
        self._verification = verification
        self._warning = Once()
        part.check_forward()

    def begin(self, number: int, views: RunViews) -> Run:
        """A new run.

        Args:
            number: the clock's.
            views: those of the run before, for a run in which nothing is done.

        Raises:
            UnsupportedPipelineError: another cache was enabled since, or the model was spread over processes
                and the plan looks at data.
        """
        if why := split_decision(self._model, self._plan):
            raise UnsupportedPipelineError(f"{type(self._model).__name__} {why}.")
        aside = self._aside()
        settings = ModelSettings(self._model)
        if not aside:
            try:
                run = Run(number, RunViews(self._model, self._adapter, self._plan.cut_branches), settings)
                run.processes = Processes(self._model)
                self.look_for_readers(run)
                return run
            except UnsupportedPipelineError as error:  # somebody has replaced a forward since
                aside = str(error)
        run = Run(number, views, settings)
        run.aside = aside
        self._warning.warn(aside)
        return run

    def _aside(self) -> str:
        """Why nothing can be done now; "" if nothing speaks against it."""
        self._verification.follow(type(self._model))
        try:
            self._part.check_forward()
        except UnsupportedPipelineError as error:
            return str(error)
        return refuse_other_cache(self._model, plain_model(self._model)) or self._outgrown()

    def _outgrown(self) -> str:
        """What is said where the plan's branches are not there any more; "" if they are."""
        deepest = max(self._plan.cut_branches, default=-1)
        if deepest < (count := self._adapter.branches(self._model)):
            return ""
        return (
            f"blocks of {type(self._model).__name__} were exchanged or taken out since accelerate(): it has "
            f"{count} branches now, and the plan runs branch {deepest}"
        )

    def look_again(self, run: Run) -> None:
        """In the middle of a run somebody has registered a hook, put a forward on a layer, or exchanged one.

        Raises:
            UnsupportedPipelineError: it is another cache's.
        """
        if aside := self._aside():
            run.aside = aside
            self._warning.warn(aside)
        self.look_for_readers(run)

    def look_for_readers(self, run: Run) -> None:
        """Look for what may see layers that a cached step leaves out: attention processors, hooks."""
        run.hooks, run.readers = run.hooks_now, ()
        processors, layers = modules_that_are_read(self._model), read_layers(self._model)
        if not processors and not layers:
            return
        kept = [set(run.views.cached(branch).view.remaining()) for branch in run.views.cuts]
        kept += [set()] if self._plan.keeps_outputs else []
        maps = attention_readers(processors, kept)
        run.readers = (*(f"attention processor {name}" for name in maps), *readers(layers, kept))
        if run.readers:
            self._warning.warn(f"deep layers may be read by {', '.join(run.readers)}"[:280])
