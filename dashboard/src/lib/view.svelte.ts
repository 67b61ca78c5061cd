// The address is the whole state of the view: what it does not say follows the server.

export const SCENES = ["replay", "channels", "scoreboard", "duel", "profiles", "perf"] as const;
export type Scene = (typeof SCENES)[number] | "home" | "tv";

interface View {
  scene: Scene;
  says: Record<string, string>;
}

function read(): View {
  const [path = "", query = ""] = location.hash.replace(/^#\/?/, "").split("?");
  const known = [...SCENES, "tv"] as readonly string[];
  const scene = (known.includes(path) ? path : "home") as Scene;
  const says = Object.fromEntries(new URLSearchParams(query));
  document.documentElement.dataset.theme = says.theme === "light" ? "light" : "dark";
  return { scene, says };
}

class Address {
  #view = $state<View>(read());

  constructor() {
    addEventListener("hashchange", () => (this.#view = read()));
  }

  get scene(): Scene {
    return this.#view.scene;
  }
  get(name: string): string | undefined {
    return this.#view.says[name];
  }
  /** The address of a scene, or of this one, with some of its words changed; null takes one out. */
  to(scene: Scene, changes: Record<string, string | number | null> = {}): string {
    const says: Record<string, string> = {};
    const kept = scene === this.scene ? Object.keys(this.#view.says) : ["theme", "mode", "ep", "t", "model"];
    for (const key of kept) if (this.#view.says[key] !== undefined) says[key] = this.#view.says[key]!;
    for (const [key, value] of Object.entries(changes)) {
      if (value === null) delete says[key];
      else says[key] = String(value);
    }
    const query = new URLSearchParams(says).toString();
    return `#/${scene === "home" ? "" : scene}${query ? `?${query}` : ""}`;
  }
  go(scene: Scene, changes: Record<string, string | number | null> = {}): void {
    location.hash = this.to(scene, changes);
  }
  /** A change that the way back need not remember, such as a playhead that moves. */
  say(changes: Record<string, string | number | null>): void {
    history.replaceState(null, "", this.to(this.scene, changes));
    this.#view = read();
  }
}

export const view = new Address();

export type Mode = "realistic" | "oracle" | "both";
export const mode = (): Mode => {
  const asked = view.get("mode");
  return asked === "oracle" || asked === "both" ? asked : "realistic";
};
