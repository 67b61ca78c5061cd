// The one time that rules every panel: of when is what is shown, and is that still now?

import { clock, span } from "./phases";
import { player } from "./player.svelte";
import { received } from "./stream.svelte";

export type Freshness = "none" | "current" | "stale" | "stopped";
export interface AsOf {
  state: Freshness;
  /** Seconds since the end of the window that is shown. */
  age_s: number;
  words: string;
}

const wall = (ms: number): string => new Date(ms).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit" });

/** When a moment of the episode was or is, on the clock on the wall. */
const wallOf = (seconds: number): string => wall(Number(player.episode?.start_wall_ns ?? 0) / 1e6 + 1000 * seconds);

/** Stale after two strides without a prediction, or without a sound from the server. */
function judged(): AsOf {
  const { window, episode } = player;
  if (!episode || !window) return { state: "none", age_s: 0, words: "" };
  const late = 2 * episode.stride_s;
  const stored = player.own || !player.live;
  const silent = player.own ? 0 : Math.max(received.silent_s, received.state === "lost" ? (received.now - (received.last.perf ?? received.now)) / 1000 : 0);
  const of_window = stored ? player.position - window.end_s : (received.servers_now - (Number(episode.start_wall_ns) / 1e6 + 1000 * window.end_s)) / 1000;
  const age_s = Math.max(0, of_window, stored ? of_window + silent : 0);
  if (player.live && player.ended) {
    return { state: "stopped", age_s, words: `machine stopped ${wallOf(episode.transport.position_s)}, last prediction ${span(age_s)} ago` };
  }
  const gone = received.state === "lost" && !player.own;
  if (gone || silent >= late || age_s > late + 0.5) {
    const since = stored && !silent ? `no prediction for ${span(of_window)}` : `as of ${stored ? clock(window.end_s) : wallOf(window.end_s)}, ${span(Math.max(age_s, silent))} ago`;
    return { state: "stale", age_s, words: since };
  }
  return { state: "current", age_s, words: `as of ${stored ? clock(window.end_s) : wallOf(window.end_s)}` };
}

class Shown {
  #value = $derived(judged());
  get asof(): AsOf {
    return this.#value;
  }
  /** Nothing that is shown may pass for the present. */
  get old(): boolean {
    return this.#value.state === "stale" || this.#value.state === "stopped";
  }
}

export const shown = new Shown();
