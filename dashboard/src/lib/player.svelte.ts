// The playhead: the server's clock, or a private one while the address says where to look.

import type { Episode, Window } from "./events";
import { received } from "./stream.svelte";
import { view } from "./view.svelte";

export const SPEEDS = [0.25, 0.5, 1, 2, 4, 8, 16, 32, 64];

class Player {
  #position = $state(0);
  #other = $state.raw<Episode | null>(null);
  #whole = $state.raw<Window[]>([]);
  #requested = "";
  #turns = Promise.resolve();
  #revision = 0;
  refused = $state("");

  run(): void {
    const step = () => {
      this.#tick();
      setTimeout(step, 250);
    };
    step();
  }

  /** True while this page looks where it wants, and not where the server's clock stands. */
  get detached(): boolean {
    return view.get("t") !== undefined || this.#elsewhere;
  }
  get #elsewhere(): boolean {
    const requested = view.get("ep");
    return requested !== undefined && requested !== received.episode?.episode_id;
  }
  get episode(): Episode | null {
    return this.#elsewhere ? this.#other : received.episode;
  }
  get duration(): number {
    const episode = this.episode;
    return episode?.duration_s ?? Math.max(this.windows.at(-1)?.end_s ?? 0, this.#position, 60);
  }
  get position(): number {
    return this.#position;
  }
  get live(): boolean {
    return this.episode?.mode === "live";
  }
  get playing(): boolean {
    return !this.detached && this.episode?.transport.state === "playing";
  }
  get control(): boolean {
    return !this.live && (received.episode?.transport.control ?? false);
  }
  #own = $derived(this.#whole.filter((one) => one.episode_id === this.episode?.episode_id));
  /** All windows that are known, oldest first; the same array until there is another. */
  windows = $derived.by(() => {
    const known = new Set(this.#own.map((one) => one.index));
    const newer = received.windows.filter((one) => one.episode_id === this.episode?.episode_id && !known.has(one.index));
    return newer.length ? [...this.#own, ...newer].sort((a, b) => a.index - b.index) : this.#own;
  });
  /** The last window that could be had at the playhead. */
  window = $derived(this.windows.findLast((one) => one.end_s <= this.#position + 1e-6) ?? null);

  #tick(): void {
    if (document.hidden) return;
    const requested = view.get("t");
    const now = performance.now();
    const episode = this.episode;
    if (requested !== undefined) this.#move(Number(requested) || 0);
    else if (episode && !this.#elsewhere) {
      const { state, speed, position_s } = episode.transport;
      const run = state === "playing" ? ((now - received.anchored) / 1000) * speed : 0;
      this.#move(position_s + run);
    }
    void this.#fetch();
  }
  #move(seconds: number): void {
    const most = this.episode?.duration_s ?? Infinity;
    const next = Math.min(Math.max(seconds, 0), most);
    if (next !== this.#position) this.#position = next;
  }

  /** A stored episode is fetched whole, to scrub through it here. */
  async #fetch(): Promise<void> {
    const id = view.get("ep") ?? received.episode?.episode_id;
    if (!id || this.#requested === id) return;
    this.#requested = id;
    this.refused = "";
    try {
      if (id !== received.episode?.episode_id) {
        const response = await fetch(`/api/episodes/${encodeURIComponent(id)}`);
        const value = await response.json();
        if (!response.ok) this.refused = value.refused;
        else this.#other = value;
      }
      const response = await fetch(`/api/episodes/${encodeURIComponent(id)}/windows`);
      if (response.ok) this.#whole = await response.json();
    } catch {
      this.#requested = "";
    }
  }

  // ---------------------------------------------------------------- controls

  seek(seconds: number): void {
    const to = Math.min(Math.max(seconds, 0), this.duration);
    if (this.control && !this.detached) this.#turn("seek", to);
    else view.say({ t: to.toFixed(1) });
  }
  step(windows: number): void {
    this.seek(this.#position + windows * (this.episode?.stride_s ?? 5));
  }
  toggle(): void {
    if (this.detached) this.follow();
    else if (this.control) this.#turn(this.playing ? "pause" : "play", null);
  }
  faster(by: number): void {
    const place = SPEEDS.indexOf(received.episode?.transport.speed ?? 1) + by;
    const speed = SPEEDS[Math.min(Math.max(place, 0), SPEEDS.length - 1)]!;
    if (this.control) this.#turn("speed", speed);
  }
  loop(side: "start" | "end" | "off"): void {
    if (!this.control) return;
    const now = received.episode?.transport.loop_s;
    const duration = this.duration;
    if (side === "off") this.#turn("loop", null);
    else if (side === "start") this.#turn("loop", [this.#position, Math.max(now?.[1] ?? duration, this.#position + 1)]);
    else this.#turn("loop", [Math.min(now?.[0] ?? 0, this.#position - 1), this.#position]);
  }
  load(id: string): void {
    if (this.control) {
      view.say({ ep: null, t: null });
      this.#turn("load", id);
    } else view.say({ ep: id, t: 0 });
  }
  follow(): void {
    view.say({ t: null, ep: null });
  }
  detach(): void {
    view.say({ t: this.#position.toFixed(1), ep: this.episode?.episode_id ?? null });
  }
  /** The next, or last, beginning of a phase. */
  phase(forward: boolean): void {
    const starts = (this.episode?.phases ?? []).map((one) => one.start_s);
    const to = forward
      ? starts.find((start) => start > this.#position + 0.01)
      : starts.findLast((start) => start < this.#position - 0.5);
    if (to !== undefined) this.seek(to);
  }
  /** The next window of which something is true, after the one at the playhead. */
  next(wanted: (window: Window) => boolean): void {
    const here = this.window?.index ?? -1;
    const found = this.windows.find((one) => one.index > here && wanted(one));
    if (found) this.seek(found.end_s);
  }

  /** One turn after the other, each on what the one before has made. */
  #turn(op: string, value: unknown): void {
    this.#turns = this.#turns.then(() => this.#request(op, value));
  }
  async #request(op: string, value: unknown): Promise<void> {
    const revision = Math.max(this.#revision, received.episode?.transport.revision ?? 0);
    const body = JSON.stringify({ op, value, if_revision: revision });
    const headers = { "content-type": "application/json" };
    try {
      const response = await fetch("/api/transport", { method: "POST", headers, body });
      const reply = await response.json();
      this.refused = response.ok ? "" : reply.refused;
      this.#revision = response.ok ? reply.revision : 0;
    } catch {
      this.refused = "the server does not response";
    }
  }
}

export const player = new Player();
