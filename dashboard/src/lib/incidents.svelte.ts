// The ledger of incidents, and what a person does about them; sound and notices when asked for.

import type { Incident } from "./events";
import { received } from "./stream.svelte";

class Incidents {
  all = $state.raw<Incident[]>([]);
  problem = $state("");
  /** Whether new incidents sound, and show a notice of the browser. */
  alerts = $state(false);
  #known: Set<string> | null = null;
  #fetching = false;

  /** Read the ledger again whenever the server says that something has changed. */
  watch(): void {
    $effect(() => {
      void received.incidents;
      if (received.state === "open") void this.#fetch();
    });
  }
  async #fetch(): Promise<void> {
    if (this.#fetching) return;
    this.#fetching = true;
    try {
      const answer = await fetch("/api/incidents");
      const value = await answer.json();
      this.problem = answer.ok ? "" : value.refused;
      if (answer.ok) this.#take(value);
    } catch {
      // The stream shows that the server is away.
    } finally {
      this.#fetching = false;
    }
  }
  #take(all: Incident[]): void {
    this.all = all;
    const fresh = this.#known ? all.filter((one) => !this.#known!.has(one.id) && !this.muted(one)) : [];
    this.#known = new Set(all.map((one) => one.id));
    if (fresh.length && this.alerts) this.#alert(fresh);
  }
  #alert(fresh: Incident[]): void {
    const [first] = fresh;
    const text = `${first!.phases.at(-1)!.replaceAll("_", " ")} on ${first!.machine}${fresh.length > 1 ? ` and ${fresh.length - 1} more` : ""}`;
    if ("Notification" in window && Notification.permission === "granted") new Notification("Phasewatch: incident", { body: text });
    const sound = new AudioContext();
    const tone = sound.createOscillator();
    const volume = sound.createGain();
    volume.gain.value = 0.08;
    tone.frequency.value = 660;
    tone.connect(volume).connect(sound.destination);
    tone.start();
    tone.stop(sound.currentTime + 0.35);
    tone.onended = () => void sound.close();
  }
  async ask(on: boolean): Promise<void> {
    this.alerts = on;
    if (on && "Notification" in window && Notification.permission === "default") await Notification.requestPermission();
  }
  muted(one: Incident): boolean {
    return one.muted_until_ns !== null && Number(one.muted_until_ns) / 1e6 > received.servers_now;
  }
  async act(id: string, op: string, text = "", minutes = 60): Promise<void> {
    try {
      const headers = { "content-type": "application/json" };
      const answer = await fetch(`/api/incidents/${encodeURIComponent(id)}`, { method: "POST", headers, body: JSON.stringify({ op, text, minutes }) });
      const value = await answer.json();
      this.problem = answer.ok ? "" : (value.refused ?? "That was refused.");
      if (answer.ok) this.all = this.all.map((one) => (one.id === id ? value[0] : one));
    } catch {
      this.problem = "The server does not answer.";
    }
  }
}

export const incidents = new Incidents();
