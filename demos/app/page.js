() => {
  // Results come and go, so the page listens once for all of them.
  const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
  const narrow = () => matchMedia("(max-width: 900px)").matches;
  document.documentElement.classList.add("mm-ready");

  const wipe = (input) => {
    const frame = input.closest(".mm-frame");
    frame.classList.remove("once");
    frame.style.setProperty("--wipe", `${input.value}%`);
  };

  // Two clips are one file: each frame of it is drawn into both canvases at once, so they cannot part.
  const clips = (inside) => {
    const place = inside.closest(".mm-wipe");
    return { place, video: place.querySelector("video"), button: place.querySelector(".mm-play"), bar: place.querySelector(".mm-bar input") };
  };
  const follow = ({ place, video, bar }) => {
    const halves = [...place.querySelectorAll("canvas")];
    const { width, height } = halves[0];
    const frame = document.createElement("canvas"); // a copy, since the video may go on between two looks at it
    [frame.width, frame.height] = [2 * width, height];
    const draw = () => {
      frame.getContext("2d").drawImage(video, 0, 0, frame.width, height);
      for (const one of halves) {
        one.getContext("2d").drawImage(frame, one.dataset.half * width, 0, width, height, 0, 0, width, height);
      }
      if (!video.paused) bar.value = (bar.max * video.currentTime) / video.duration;
      if (!place.isConnected) return;
      if (video.requestVideoFrameCallback) video.requestVideoFrameCallback(draw);
      else requestAnimationFrame(draw);
    };
    draw();
  };
  const play = async ({ video, button }) => {
    video.muted = true; // only a muted clip may begin by itself
    try {
      await video.play();
      button.textContent = "Pause";
    } catch {
      button.textContent = "Play";
    }
  };
  const pause = ({ video, button }) => {
    video.pause();
    button.textContent = "Play";
  };

  // Two films, each at the pace of its run.
  const show = (lane, share) => {
    const at = lane.dataset.at.split(" ").map(Number);
    const steps = lane.dataset.steps.split(" ").map(Number);
    const count = at.filter((one) => one <= share + 1e-6).length;
    const last = at.length - 1;
    const film = lane.querySelector(".mm-film");
    film.style.visibility = count ? "visible" : "hidden";
    film.style.backgroundPositionX = `${(100 * Math.max(0, count - 1)) / Math.max(1, last)}%`;
    const done = Math.min(1, share / at[last]);
    lane.querySelector(".mm-lane-bar i").style.transform = `scaleX(${done})`;
    const total = steps[last];
    const first = at[last] < 0.999 ? ` when the other was at ${Math.round(100 * at[last])} %` : "";
    lane.querySelector(".mm-at").textContent =
      done >= 1 ? `finished${first}` : `step ${Math.min(total, Math.round(total * done))} of ${total}`;
    return done;
  };
  const race = (button) => {
    const place = button.closest(".mm-race");
    const lanes = [...place.querySelectorAll(".mm-lane")];
    place.classList.add("playing");
    button.disabled = true;
    place.scrollIntoView({ block: "nearest", behavior: calm ? "auto" : "smooth" });
    const began = performance.now();
    const lasts = 1000 * Number(place.dataset.seconds);
    const go = (now) => {
      const share = Math.min(1, (now - began) / lasts);
      lanes.forEach((lane) => show(lane, share));
      if (share < 1) return requestAnimationFrame(go);
      place.classList.replace("playing", "played");
      button.disabled = false;
      button.textContent = "Watch it again";
    };
    requestAnimationFrame(go);
  };

  // A message that begins with the label of a control of the open tab goes beside that control.
  const labelOf = (block) =>
    (block.querySelector("[data-testid='block-info'], label > span, .label-wrap > span, legend")?.textContent ?? "").trim();
  const fieldOf = (title) => {
    const panel = [...document.querySelectorAll("[role=tabpanel]")].find((one) => one.checkVisibility());
    if (title === "Your image") return panel?.querySelector(".mm-editor, .mm-board");
    return [...(panel?.querySelectorAll(".block") ?? [])].find((one) => labelOf(one) === title);
  };
  const place = (toast) => {
    const said = toast.querySelector(".toast-message-text")?.textContent.trim() ?? "";
    const [title] = said.split(": ", 1);
    const words = said.slice(title.length + 2);
    const field = words && fieldOf(title);
    if (!field) return;
    toast.dataset.placed = "";
    forget(field);
    const expert = field.closest(".mm-expert");
    const closed = expert && !field.checkVisibility() && expert.querySelector("button.label-wrap");
    if (closed) closed.click();
    const fault = document.createElement("p");
    fault.className = "mm-fault";
    fault.role = "alert";
    fault.id = `fault-${title.toLowerCase().replace(/\W+/g, "-")}-${Date.now()}`;
    fault.textContent = words;
    field.after(fault);
    field.classList.add("mm-faulty");
    const input = field.querySelector("textarea, input");
    input?.setAttribute("aria-invalid", "true");
    input?.setAttribute("aria-describedby", fault.id);
    setTimeout(() => {
      fault.scrollIntoView({ block: "center" });
      input?.focus({ preventScroll: true });
    }, closed ? 300 : 0);
    toast.querySelector(".toast-close")?.click();
  };
  const forget = (field) => {
    if (!field.classList.contains("mm-faulty")) return;
    field.classList.remove("mm-faulty");
    const input = field.querySelector("textarea, input");
    document.getElementById(input?.getAttribute("aria-describedby"))?.remove();
    if (field.nextElementSibling?.matches(".mm-fault")) field.nextElementSibling.remove();
    input?.removeAttribute("aria-invalid");
    input?.removeAttribute("aria-describedby");
  };

  // The slider's stops can be dragged across.
  let dragged = null;
  const dragTo = (event) => {
    const stops = [...dragged.querySelectorAll("label")];
    const middle = (one) => one.getBoundingClientRect().left + one.getBoundingClientRect().width / 2;
    stops.sort((a, b) => Math.abs(middle(a) - event.clientX) - Math.abs(middle(b) - event.clientX));
    const input = stops[0].querySelector("input");
    if (!input.checked) input.click();
  };

  // Arrow keys go from stop to stop: to the browser each of gradio's radio buttons is a group of its own.
  const arrows = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1 };
  document.addEventListener("keydown", (event) => {
    if (!event.target.matches(".mm-stops input") || !(event.key in arrows)) return;
    const stops = [...event.target.closest(".wrap").querySelectorAll("input")];
    const next = stops[stops.indexOf(event.target) + arrows[event.key]];
    event.preventDefault();
    next?.focus();
    next?.click();
  });

  const keep = (name, value) => {
    try {
      sessionStorage.setItem(`mmcache-${name}`, value);
    } catch {
      /* a browser that keeps nothing */
    }
  };

  document.addEventListener("input", ({ target }) => {
    if (target.matches(".mm-frame input")) wipe(target);
    if (target.matches(".mm-bar input")) {
      const both = clips(target);
      pause(both);
      both.video.currentTime = (both.video.duration * target.value) / target.max;
    }
    const field = target.closest(".mm-faulty");
    if (field) forget(field);
  });
  document.addEventListener("pointerdown", (event) => (dragged = event.target.closest(".mm-stops .wrap")));
  document.addEventListener("pointermove", (event) => dragged && event.buttons === 1 && dragTo(event));
  document.addEventListener("pointerup", () => (dragged = null));
  document.addEventListener("click", ({ target }) => {
    if (target.matches(".mm-play")) {
      const both = clips(target);
      if (both.video.paused) play(both);
      else pause(both);
    }
    if (target.matches(".mm-race-go")) race(target);
    const tab = target.closest("[role=tab][data-tab-id]");
    if (tab) {
      keep("tab", tab.dataset.tabId);
      keep("address", location.search);
    }
    const panel = target.closest("[role=tabpanel]");
    if (target.closest(".mm-to-controls")) {
      goTo(panel.querySelector(".mm-controls"));
      const image = panel.querySelector(".mm-editor, .mm-board");
      if (!image) panel.querySelector(".mm-prompt textarea").focus({ preventScroll: true });
    }
    if (target.closest("[id^=go-], .mm-example")) {
      panel.querySelectorAll(".mm-faulty").forEach(forget);
    }
  });
  // On a phone the outcome is above the controls: the page goes there when a run begins, and when it ends.
  const goTo = (place) => narrow() && place.scrollIntoView({ block: "start", behavior: calm ? "auto" : "smooth" });
  const began = new WeakSet();
  const watch = () => {
    document.querySelectorAll(".toast-body:not([data-placed])").forEach(place);
    for (const progress of document.querySelectorAll("[id^=progress-]")) {
      const runs = progress.querySelector(".mm-lane");
      if (runs && !began.has(progress)) {
        began.add(progress);
        goTo(progress);
      } else if (!runs && began.has(progress)) {
        began.delete(progress);
        goTo(document.getElementById(progress.id.replace("progress-", "result-")));
      }
    }
    // A drawing that is wider than the screen is shown from its middle, so that one sees that it goes on.
    for (const one of document.querySelectorAll(".mm-u:not([data-seen])")) {
      if (!one.checkVisibility()) continue;
      one.dataset.seen = "";
      one.scrollLeft = (one.scrollWidth - one.clientWidth) / 2;
    }
    for (const one of document.querySelectorAll(".mm-frame video:not([data-seen])")) {
      if (!one.checkVisibility()) continue;
      one.dataset.seen = "";
      follow(clips(one));
      if (!calm) play(clips(one));
    }
  };
  new MutationObserver(watch).observe(document.body, { childList: true, subtree: true, attributes: true, attributeFilter: ["style", "class"] });
  watch();
}
