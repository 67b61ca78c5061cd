// The machines that are watched, the most severe first.

import type { Incident, MachineNow } from "./events";
import { incidents } from "./incidents.svelte";
import { received } from "./stream.svelte";

/** How much a machine needs a person: 4 an open incident, 3 one that was seen, 2 silence, 1 a hostile phase. */
export type Severity = 0 | 1 | 2 | 3 | 4;

export interface Watched {
  one: MachineNow;
  severe: Severity;
  incident: Incident | undefined;
  /** Seconds since the last prediction; null where the machine's time is not that of the wall. */
  age: number | null;
  quiet: boolean;
}

class Machines {
  #last = new Map<string, Watched>();
  #byId = $derived(new Map(incidents.all.map((one) => [one.id, one])));
  /** A replay has a time of its own: only machines that run now have an age. */
  timed = $derived(received.machines.size > 1 || received.episode?.mode === "live");
  sorted = $derived([...received.machines.values()].map((one) => this.#watched(one)).toSorted(bySeverity));

  #watched(one: MachineNow): Watched {
    const incident = one.incident_id ? this.#byId.get(one.incident_id) : undefined;
    const age = this.timed && one.end_wall_ns !== null ? Math.max(0, received.servers_now / 1000 - Number(one.end_wall_ns) / 1e9) : null;
    const quiet = one.state === "running" && (age ?? 0) > 2 * one.stride_s;
    return this.#same({ one, severe: severity(one, incident, quiet), incident, age, quiet });
  }
  /** The value of before where nothing has changed, so that only tiles that changed are drawn. */
  #same(next: Watched): Watched {
    const last = this.#last.get(next.one.machine);
    const keys = Object.keys(next) as (keyof Watched)[];
    if (last && keys.every((key) => last[key] === next[key])) return last;
    this.#last.set(next.one.machine, next);
    return next;
  }
}

function severity(one: MachineNow, incident: Incident | undefined, quiet: boolean): Severity {
  if (one.incident_id && !(incident && incidents.muted(incident))) return incident?.acknowledged_ns ? 3 : 4;
  if (quiet) return 2;
  return one.state === "running" && one.label !== null && one.label !== one.labels[0] ? 1 : 0;
}

const since = (one: Watched) => Number(one.one.phase_since_ns ?? 0);
const bySeverity = (a: Watched, b: Watched) => b.severe - a.severe || since(a) - since(b) || a.one.machine.localeCompare(b.one.machine);

export const machines = new Machines();

/** Where the evidence of a machine stands: at its open incident, with a minute before it, or now. */
export function evidence(one: MachineNow, incident: Incident | undefined): Record<string, string | null> {
  const now = one.position_s === null ? null : one.position_s.toFixed(1);
  return { ep: one.episode_id, t: now, from: null, to: null, model: null, ...(incident && opening(incident)) };
}

/** The time of an incident's opening, and the axis from a minute before it. */
export function opening(incident: Incident): Record<string, string | null> {
  const at = incident.opened_at_s;
  return { ep: incident.episode, t: Math.max(0, at).toFixed(1), from: Math.max(0, at - 60).toFixed(1), to: (at + 120).toFixed(1), model: null };
}
