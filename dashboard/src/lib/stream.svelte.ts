// All events received from the server, and their age. One EventSource, closed while the page is hidden.

import type {
  Comparison,
  Episode,
  MachineNow,
  Perf,
  Producer,
  Profile,
  Scoreboard,
  Window,
} from "./events";

export type Kind = "episode" | "window" | "scoreboard" | "comparison" | "perf" | "profile" | "machine" | "incident";
const KINDS: Kind[] = ["episode", "window", "scoreboard", "comparison", "perf", "profile", "machine", "incident"];
/** The server sends something every two seconds; after this long without it, it is not heard. */
const SILENT_S = 5;
const GIVE_UP_S = 20;
const KEPT = 720;
/** The server sends what has come in 100 ms together; this joins the events of one such chunk. */
const FLUSH_MS = 16;

class Received {
  state = $state<"connecting" | "open" | "lost">("connecting");
  now = $state(Date.now());
  since = $state<number | null>(null);
  producers = $state.raw<Producer[]>([]);
  episode = $state.raw<Episode | null>(null);
  windows = $state.raw<Window[]>([]);
  scoreboard = $state.raw<Scoreboard | null>(null);
  comparison = $state.raw<Comparison | null>(null);
  perf = $state.raw<Perf | null>(null);
  profiles = $state.raw<Record<string, Profile>>({});
  /** Machines by name. Many change each second, so those that come together are shown together. */
  machines = $state.raw<Map<string, MachineNow>>(new Map());
  /** Grows with every change of an incident. */
  incidents = $state(0);
  #waiting = new Map<string, MachineNow>();
  #flush = 0;
  last = $state.raw<Partial<Record<Kind, number>>>({});
  dropped = $state(0);
  /** When the last `episode` event was true, on this page's own clock. */
  anchored = performance.now();
  /** When anything was last heard, on the same clock. */
  heard = performance.now();
  /** Seconds without a sound from the server. */
  silent_s = $state(0);
  #source: EventSource | null = null;
  /** What the server's clock is ahead of this page's, in ms. */
  #ahead = 0;

  open(): void {
    addEventListener("visibilitychange", () => (document.hidden ? this.#shut() : this.#connect()));
    setInterval(() => this.#tick(), 1000);
    this.#connect();
  }

  /** The server's clock now, Unix time in ms. */
  get servers_now(): number {
    return this.now + this.#ahead;
  }

  #connect(): void {
    if (this.#source) return;
    const source = new EventSource("/api/events?max_hz=10");
    this.#source = source;
    this.heard = performance.now();
    source.onopen = () => {
      this.#hear();
      this.since ??= Date.now();
      void this.#fetchProducers();
    };
    source.onerror = () => {
      this.state = "lost";
      // A browser that was refused outright does not try again by itself.
      if (source.readyState === EventSource.CLOSED) {
        this.#shut();
        setTimeout(() => this.#connect(), 2000);
      }
    };
    source.addEventListener("hello", (event) => {
      this.#ahead = JSON.parse(event.data).time_ms - Date.now();
    });
    source.addEventListener("ping", () => this.#hear());
    source.addEventListener("gap", (event) => {
      this.dropped += (JSON.parse(event.data) as { dropped: number }).dropped;
    });
    for (const kind of KINDS) {
      source.addEventListener(kind, (event) => {
        const { data, time } = JSON.parse(event.data) as { data: unknown; time: string };
        this.#receive(kind, data, Date.now() + this.#ahead - Date.parse(time));
      });
    }
  }

  #shut(): void {
    this.#source?.close();
    this.#source = null;
  }

  #hear(): void {
    this.heard = performance.now();
    this.silent_s = 0;
    if (this.state !== "open") this.state = "open";
  }

  #tick(): void {
    if (document.hidden) return;
    this.now = Date.now();
    const silent = (performance.now() - this.heard) / 1000;
    this.silent_s = silent > SILENT_S ? silent : 0;
    if (this.state === "open" && silent > GIVE_UP_S) {
      this.state = "lost";
      this.#shut();
      this.#connect();
    }
    // While there is nothing to show, the server says what it is busy with.
    if (this.state === "open" && !this.episode) void this.#fetchProducers();
  }

  async #fetchProducers(): Promise<void> {
    try {
      const answer = await fetch("/api/producers");
      if (answer.ok) this.producers = await answer.json();
    } catch {
      // The stream shows that the server is away.
    }
  }

  #receive(kind: Kind, data: unknown, age: number): void {
    this.#hear();
    if (kind === "machine") return this.#machine(data as MachineNow);
    this.last = { ...this.last, [kind]: Date.now() };
    if (kind === "incident") this.incidents += 1;
    else if (kind === "episode") {
      this.episode = data as Episode;
      // The first event that a new viewer receives may be some time old.
      this.anchored = performance.now() - Math.max(age, 0);
    } else if (kind === "window") this.#window(data as Window);
    else if (kind === "scoreboard") this.scoreboard = data as Scoreboard;
    else if (kind === "comparison") this.comparison = data as Comparison;
    else if (kind === "perf") this.perf = data as Perf;
    else if (kind === "profile") {
      const profile = data as Profile;
      this.profiles = { ...this.profiles, [profile.profile]: profile };
    }
  }

  #machine(machine: MachineNow): void {
    this.#waiting.set(machine.machine, machine);
    this.#flush ||= setTimeout(() => {
      this.#flush = 0;
      this.last = { ...this.last, machine: Date.now() };
      this.machines = new Map([...this.machines, ...this.#waiting]);
      this.#waiting.clear();
    }, FLUSH_MS);
  }

  #window(window: Window): void {
    const same = this.windows.filter(
      (one) => one.episode_id === window.episode_id && one.index !== window.index,
    );
    this.windows = [...same, window].sort((a, b) => a.index - b.index).slice(-KEPT);
  }

  producer(kind: Kind): Producer | undefined {
    return this.producers.find((one) => one.kinds.includes(kind));
  }
  /** Seconds since the last event of a kind; null when there was none. */
  age(kind: Kind): number | null {
    const last = this.last[kind];
    return last === undefined ? null : Math.max(0, (this.now - last) / 1000);
  }
}

export const received = new Received();

export type State = "ok" | "awaiting" | "stale" | "disconnected" | "refused";

/** How a kind of event stands. Figures that should come steadily are stale after three of them. */
export function stateOf(kind: Kind): State {
  const producer = received.producer(kind);
  if (producer?.trouble) return "refused";
  if (received.last[kind] === undefined) return received.state === "lost" ? "disconnected" : "awaiting";
  if (received.state === "lost") return "disconnected";
  const every = producer?.every_s[kind];
  return every && (received.age(kind) ?? 0) > 3 * every ? "stale" : "ok";
}
