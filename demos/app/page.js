() => {
  // Results come and go, so the page listens once for all of them.
  const withinFrames = 0.5; // how far, in frames, two players may be apart

  const wipe = (input) => input.closest(".mm-frame").style.setProperty("--wipe", `${input.value}%`);

  const players = (inside) => {
    const place = inside.closest(".mm-players");
    const [full, cached] = place.querySelectorAll("video");
    return { full, cached, place, button: place.querySelector(".mm-play"), bar: place.querySelector(".mm-bar input") };
  };

  const bringTogether = ({ full, cached, place }) => {
    if (Math.abs(full.currentTime - cached.currentTime) > withinFrames / Number(place.dataset.fps)) {
      cached.currentTime = full.currentTime;
    }
  };

  const playOrPause = async (both) => {
    if (both.full.paused) {
      both.cached.currentTime = both.full.currentTime;
      await Promise.all([both.full.play(), both.cached.play()]);
      both.button.textContent = "Pause both";
    } else {
      both.full.pause();
      both.cached.pause();
      both.cached.currentTime = both.full.currentTime;
      both.button.textContent = "Play both";
    }
  };

  document.addEventListener("input", ({ target }) => {
    if (target.matches(".mm-frame input")) wipe(target);
    if (target.matches(".mm-bar input")) {
      const { full, cached } = players(target);
      full.currentTime = cached.currentTime = (full.duration * target.value) / target.max;
    }
  });
  document.addEventListener("click", ({ target }) => {
    if (target.matches(".mm-play")) playOrPause(players(target));
    const go = target.closest("[id^=go-]");
    // On a phone the outcome is below the controls.
    if (go) document.getElementById(go.id.replace("go-", "progress-")).scrollIntoView({ block: "nearest" });
  });
  // Media events do not bubble, so they are caught on their way down. Only the full player leads.
  document.addEventListener("timeupdate", ({ target }) => {
    if (!target.closest(".mm-players")) return;
    const both = players(target);
    if (target !== both.full) return;
    if (!both.full.paused) bringTogether(both);
    both.bar.value = (both.bar.max * both.full.currentTime) / both.full.duration;
  }, true);
}
