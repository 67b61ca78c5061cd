// The playhead: this viewer's own, or the server's clock while the viewer follows it.
//
// A viewer who touches the transport has a playhead of their own from there on. Only who chose to
// present moves the server's clock, and with it everybody who follows.

import type { Episode, Window } from "./events";
import { received } from "./stream.svelte";
import { view } from "./view.svelte";

export const SPEEDS = [0.25, 0.5, 1, 2, 4, 8, 16, 32, 64];
/** The clock of a server that is not heard runs on for this long, and no longer. */
const TRUSTED_MS = 2500;

export interface Loading {
  models: number;
  done_ratio: number;
}

class Player {
  #position = $state(0);
  #other = $state.raw<Episode | null>(null);
  #whole = $state.raw<Window[]>([]);
  #requested = "";
  /** The episode whose windows have all been fetched. */
  #complete = $state("");
  #turns = Promise.resolve();
  #revision = 0;
  /** When the own playhead began to run, on this page's clock; null while it stands. */
  #running = $state<number | null>(null);
  #speed = $state(1);
  refused = $state("");
  /** The store has no episode of the id in the address. */
  unknown = $state(false);
  loading = $state.raw<Loading | null>(null);

  run(): void {
    const step = () => {
      this.#tick();
      setTimeout(step, 250);
    };
    step();
  }

  /** True while this viewer looks where they want, and not where the server's clock stands. */
  get own(): boolean {
    return view.get("t") !== undefined || this.#elsewhere;
  }
  get #elsewhere(): boolean {
    const requested = view.get("ep");
    return requested !== undefined && requested !== received.episode?.episode_id;
  }
  /** Whether this viewer moves the server's clock, and with it all who follow. */
  get presenting(): boolean {
    return this.control && view.get("present") === "1";
  }
  get episode(): Episode | null {
    if (!this.#elsewhere) return received.episode;
    return this.#other?.episode_id === view.get("ep") ? this.#other : null;
  }
  /** Whether all windows of the episode are known, and not only those that the server has sent. */
  get complete(): boolean {
    return this.live || this.#complete === this.episode?.episode_id;
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
    return this.own ? this.#running !== null : this.episode?.transport.state === "playing";
  }
  get ended(): boolean {
    return !this.own && this.episode?.transport.state === "ended";
  }
  get control(): boolean {
    return !this.live && (received.episode?.transport.control ?? false);
  }
  get speed(): number {
    return this.own ? this.#speed : (received.episode?.transport.speed ?? 1);
  }
  /** What is to come is hidden, unless it is asked for. */
  get reveals(): boolean {
    return view.get("reveal") === "1";
  }
  /** Until where the episode may be shown. */
  get horizon(): number {
    return this.live || this.reveals ? Infinity : this.#position + 1e-6;
  }
  #stored = $derived(this.#whole.filter((one) => one.episode_id === this.episode?.episode_id));
  /** All windows that are known, oldest first; the same array until there is another. */
  windows = $derived.by(() => {
    const known = new Set(this.#stored.map((one) => one.index));
    const newer = received.windows.filter((one) => one.episode_id === this.episode?.episode_id && !known.has(one.index));
    return newer.length ? [...this.#stored, ...newer].sort((a, b) => a.index - b.index) : this.#stored;
  });
  /** The last window that could be had at the playhead. */
  window = $derived(this.windows.findLast((one) => one.end_s <= this.#position + 1e-6) ?? null);
  #shownCount = $derived(this.windows.filter((one) => one.end_s <= this.horizon).length);
  /** Those that are not in the future; the same array until there is another. */
  shown = $derived(this.windows.slice(0, this.#shownCount));

  #tick(): void {
    if (document.hidden) return;
    const now = performance.now();
    const episode = this.episode;
    if (this.own) this.#moveOwn(now);
    else if (episode) {
      const { state, speed, position_s } = episode.transport;
      const until = Math.min(now, received.heard + TRUSTED_MS);
      const run = state === "playing" ? (Math.max(0, until - received.anchored) / 1000) * speed : 0;
      this.#move(position_s + run);
    }
    void this.#fetch();
  }
  #moveOwn(now: number): void {
    const asked = view.get("t");
    // A link that names no time opens at the first prediction.
    const from = asked === undefined ? (this.windows[0]?.end_s ?? 0) : Number(asked) || 0;
    const run = this.#running === null ? 0 : ((now - this.#running) / 1000) * this.#speed;
    const [start, end] = this.loops ?? [0, this.duration];
    if (this.#running !== null && from + run >= end) {
      this.#running = this.loops ? now : null;
      view.say({ t: (this.loops ? start : end).toFixed(1) });
      this.#move(this.loops ? start : end);
    } else this.#move(from + run);
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
    this.unknown = false;
    const address = `/api/episodes/${encodeURIComponent(id)}`;
    try {
      if (id !== received.episode?.episode_id) {
        const response = await fetch(address);
        const value = await response.json();
        this.unknown = response.status === 404;
        if (!response.ok) this.refused = value.refused;
        else this.#other = value;
        if (!response.ok) return;
      }
      const watch = setInterval(() => void this.#watch(address, id), 400);
      try {
        const response = await fetch(`${address}/windows`);
        if (response.ok) {
          this.#whole = await response.json();
          this.#complete = id;
        }
      } finally {
        clearInterval(watch);
        this.loading = null;
      }
    } catch {
      this.#requested = "";
    }
  }
  async #watch(address: string, id: string): Promise<void> {
    const response = await fetch(`${address}/progress`).catch(() => null);
    if (response?.ok && this.#requested === id && !this.#whole.some((one) => one.episode_id === id)) {
      this.loading = await response.json();
    }
  }

  // ---------------------------------------------------------------- controls

  get loops(): [number, number] | null {
    if (!this.own) return received.episode?.transport.loop_s ?? null;
    const [start, end] = (view.get("loop") ?? "").split("-").map(Number);
    return end && start !== undefined && end > start ? [start, end] : null;
  }
  seek(seconds: number): void {
    const to = Math.min(Math.max(seconds, 0), this.duration);
    if (this.presenting && !this.own) return this.#turn("seek", to);
    if (!this.own) this.#take();
    if (this.#running !== null) this.#running = performance.now();
    view.say({ t: to.toFixed(1) });
    this.#move(to);
  }
  step(windows: number): void {
    this.seek(this.#position + windows * (this.episode?.stride_s ?? 5));
  }
  toggle(): void {
    if (this.presenting && !this.own) return this.#turn(this.playing ? "pause" : "play", null);
    const playing = this.playing;
    if (!this.own) this.#take();
    if (playing) {
      view.say({ t: this.#position.toFixed(1) });
      this.#running = null;
    } else {
      const from = this.#position >= this.duration - 0.1 ? 0 : this.#position;
      view.say({ t: from.toFixed(1) });
      this.#running = performance.now();
    }
  }
  faster(by: number): void {
    const place = SPEEDS.indexOf(this.speed) + by;
    const speed = SPEEDS[Math.min(Math.max(place, 0), SPEEDS.length - 1)]!;
    if (this.presenting && !this.own) return this.#turn("speed", speed);
    if (!this.own) this.#take();
    else view.say({ t: this.#position.toFixed(1) });
    if (this.#running !== null) this.#running = performance.now();
    this.#speed = speed;
  }
  loop(side: "start" | "end" | "off"): void {
    const now = this.loops;
    const here = this.#position;
    const next: [number, number] | null =
      side === "off" ? null : side === "start" ? [here, Math.max(now?.[1] ?? this.duration, here + 1)] : [Math.min(now?.[0] ?? 0, here - 1), here];
    if (next && next[0] < 0) next[0] = 0;
    if (this.presenting && !this.own) return this.#turn("loop", next);
    if (!this.own) this.#take();
    view.say({ loop: next ? next.map((one) => one.toFixed(1)).join("-") : null });
  }
  /** Watch another episode: everybody who follows, when presenting, else this viewer alone. */
  load(id: string, at: number | null = null): void {
    this.#running = null;
    if (this.presenting && !this.own) {
      view.say({ ep: null, t: null });
      this.#turn("load", id);
    } else view.say({ ep: id, t: at === null ? null : at.toFixed(1), loop: null, from: null, to: null });
  }
  follow(): void {
    this.#running = null;
    view.say({ t: null, ep: null, loop: null });
    // At once, so that the next key does not move on from where the own playhead stood.
    this.#tick();
  }
  present(on: boolean): void {
    this.#running = null;
    view.say(on ? { present: 1, t: null, ep: null, loop: null } : { present: null });
    this.#tick();
  }
  /** From the server's clock to a playhead of one's own, at the same place and pace. */
  #take(): void {
    this.#speed = received.episode?.transport.speed ?? 1;
    this.#running = this.playing && !this.live ? performance.now() : null;
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
      this.refused = "The server does not answer.";
    }
  }
}

export const player = new Player();
