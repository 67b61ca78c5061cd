// One axis of time for all panels: what is zoomed to, and where the pointer is.

import { player } from "./player.svelte";
import { view } from "./view.svelte";

const LEAST_S = 20;
const LIVE_S = 600;

class Timeline {
  /** Seconds under the pointer, in whichever panel; null when it is in none. */
  hover = $state<number | null>(null);

  #whole = $derived.by<[number, number]>(() => {
    const stride = player.episode?.stride_s ?? 5;
    // A machine that runs now moves on a stride at a time: all is drawn again when it does.
    const until = player.live ? (Math.ceil(player.duration / stride) + 1) * stride : player.duration;
    return [player.live ? Math.max(0, until - LIVE_S) : 0, until];
  });
  #range = $derived.by<[number, number]>(() => {
    const from = Number(view.get("from") ?? NaN);
    const to = Number(view.get("to") ?? NaN);
    return to > from ? [from, to] : this.#whole;
  });
  get range(): [number, number] {
    return this.#range;
  }
  get zoomed(): boolean {
    return view.get("from") !== undefined;
  }
  show(from: number, to: number): void {
    const [least, most] = this.#whole;
    const wide = Math.min(Math.max(to - from, LEAST_S), most - least);
    const start = Math.min(Math.max(from, least), most - wide);
    if (wide >= most - least - 0.5) this.all();
    else view.say({ from: start.toFixed(1), to: (start + wide).toFixed(1) });
  }
  zoom(factor: number, at: number): void {
    const [from, to] = this.range;
    this.show(at - (at - from) * factor, at + (to - at) * factor);
  }
  pan(seconds: number): void {
    const [from, to] = this.range;
    if (this.zoomed) this.show(from + seconds, to + seconds);
  }
  all(): void {
    view.say({ from: null, to: null });
  }
}

export const timeline = new Timeline();
