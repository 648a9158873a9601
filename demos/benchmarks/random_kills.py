"""python -m mmcache_demos.benchmarks.random_kills: what is lost when processes are killed at random.

Runs `mmcache generate --prompts` undisturbed, then again while processes of it get SIGKILL, the driver among
them; a driver that ended is started again with the same command. Every image must be there once, and equal to
that of the undisturbed run. With --ray the victims are the driver, actors, the raylet and Ray's head.
Linux only.
"""

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import typer

PATIENCE = 60.0  # seconds without a new image, after which the next kill comes anyway
WORKER, ACTOR, RAYLET, HEAD, DRIVER = "worker", "actor", "raylet", "head", "driver"
SIGNS = {b"spawn_main": WORKER, b"ray::Actor": ACTOR, b"raylet/raylet": RAYLET, b"gcs_server": HEAD}


@dataclass
class Outcome:
    """What the kills left behind.

    Attributes:
        kills: by the kind of victim.
        starts: of drivers.
        missing: images that are not there.
        different: images that are not those of the undisturbed run.
        repeated: files that no line asked for.
        leftovers: temporary files.
    """

    kills: Counter[str] = field(default_factory=Counter)
    starts: int = 0
    missing: list[str] = field(default_factory=list)
    different: list[str] = field(default_factory=list)
    repeated: list[str] = field(default_factory=list)
    leftovers: list[str] = field(default_factory=list)

    @property
    def whole(self) -> bool:
        return not (self.missing or self.different or self.repeated or self.leftovers)


def main(
    items: Annotated[int, typer.Option(min=1, help="Number of prompts.")] = 200,
    kills: Annotated[int, typer.Option(min=0, help="Number of kills.")] = 20,
    workers: Annotated[int, typer.Option(min=1, help="Number of workers.")] = 2,
    ray: Annotated[bool, typer.Option("--ray", help="Over actors of a local Ray cluster.")] = False,
    model: Annotated[str, typer.Option(help="A folder, or a shipped miniature.")] = "text-to-image",
    steps: Annotated[int, typer.Option(min=1, help="Sampling steps.")] = 4,
    seed: Annotated[int, typer.Option(help="Of the choice of victims.")] = 0,
) -> None:
    """Kill at random, and compare with an undisturbed run."""
    with tempfile.TemporaryDirectory(prefix="mmcache-kills-") as folder:
        found = random_kills(
            Path(folder), items, kills, workers, ray=ray, model=model, steps=steps, seed=seed
        )
    typer.echo(f"{sum(found.kills.values())} kills of {dict(found.kills)}, {found.starts} drivers")
    for name in ("missing", "different", "repeated", "leftovers"):
        typer.echo(f"{name}: {len(getattr(found, name))} {getattr(found, name)[:5] or ''}")
    raise typer.Exit(0 if found.whole else 1)


def random_kills(
    folder: Path,
    items: int,
    kills: int,
    workers: int,
    *,
    ray: bool = False,
    model: str = "text-to-image",
    steps: int = 4,
    seed: int = 0,
) -> Outcome:
    """An undisturbed and a disturbed run in a folder, compared.

    Raises:
        RuntimeError: the undisturbed run does not succeed, or a driver ends otherwise than by a kill.
    """
    prompts = folder / "prompts.jsonl"
    prompts.write_text("".join(json.dumps({"prompt": f"a person, number {n}"}) + "\n" for n in range(items)))
    command = [sys.executable, "-m", "mmcache", "generate", "--prompts", str(prompts), "--model", model]
    command += ["--steps", str(steps), "--json"]
    plain, disturbed = folder / "plain", folder / "disturbed"
    subprocess.run([*command, "--out", str(plain)], check=True, stdout=subprocess.DEVNULL)
    command += ["--workers", str(workers), "--out", str(disturbed)]
    if ray:
        command += ["--ray", "local"]
    found = disturb(command, disturbed, items, kills, random.Random(seed))
    compare(plain, disturbed, found)
    return found


def disturb(command: list[str], out: Path, items: int, kills: int, chance: random.Random) -> Outcome:
    """Start drivers until one succeeds, and kill on the way: evenly over the images."""
    found = Outcome()
    while True:
        found.starts += 1
        driver = subprocess.Popen(command, stdout=subprocess.DEVNULL, start_new_session=True)
        try:
            lost = watch(driver, out, items, kills, chance, found)
            code = driver.wait()
        finally:
            with suppress(ProcessLookupError):
                os.killpg(driver.pid, signal.SIGKILL)  # what a killed driver of Ray leaves behind
        if code == 0:
            return found
        if code > 0 and not lost:
            raise RuntimeError(f"a driver that nobody killed ended with exit code {code}")


def watch(
    driver: "subprocess.Popen[bytes]",
    out: Path,
    items: int,
    kills: int,
    chance: random.Random,
    found: Outcome,
) -> bool:
    """Kill processes of a driver until it ends.

    Returns:
        Whether it lost more than workers: Ray's head or raylet, without which it may end by itself.
    """
    lost, waited = False, time.monotonic()
    before = len(list(out.glob("*.png")))
    while driver.poll() is None:
        done = len(list(out.glob("*.png")))
        due = (sum(found.kills.values()) + 1) * items // (kills + 1)
        late = done > before and time.monotonic() - waited > PATIENCE  # not while it still starts
        if sum(found.kills.values()) < kills and (done >= due or late):
            kind, process = chance.choice(victims(driver.pid))
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
                found.kills[kind] += 1
            lost = lost or kind in (HEAD, RAYLET)
            waited = time.monotonic()
        if lost and time.monotonic() - waited > PATIENCE:
            driver.kill()
        time.sleep(0.05)
    return lost


def victims(driver: int) -> list[tuple[str, int]]:
    """The processes of a run by their kind: the driver, and one of each other kind that it has."""
    found = {DRIVER: [driver]}
    for process in descendants(driver):
        with suppress(OSError):
            words = Path(f"/proc/{process}/cmdline").read_bytes()
            for sign, kind in SIGNS.items():
                if sign in words:
                    found.setdefault(kind, []).append(process)
    return [(kind, process) for kind, processes in found.items() for process in processes]


def descendants(process: int) -> Iterator[int]:
    """Children, and theirs."""
    with suppress(OSError):
        for child in Path(f"/proc/{process}/task/{process}/children").read_text().split():
            yield int(child)
            yield from descendants(int(child))


def compare(plain: Path, disturbed: Path, found: Outcome) -> None:
    """Note what differs between the folders."""
    wanted = {path.name: path.read_bytes() for path in plain.glob("*.png")}
    there = {path.name: path.read_bytes() for path in disturbed.glob("*.png")}
    found.missing = sorted(
        name for name in wanted if name not in there or not (disturbed / name).with_suffix(".json").exists()
    )
    found.different = sorted(name for name in wanted if name in there and there[name] != wanted[name])
    found.repeated = sorted(there.keys() - wanted.keys())
    found.leftovers = sorted(path.name for path in disturbed.glob(".*.part"))


if __name__ == "__main__":
    typer.run(main)
