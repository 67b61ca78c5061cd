// The address is the whole state of the view: what it does not name follows the server.

export const SCENES = ["investigate", "episodes", "beside", "scoreboard", "comparison", "profiles", "perf"] as const;
export type Scene = (typeof SCENES)[number] | "home" | "tv";

/** Old names of scenes, which saved addresses may still have. */
const RENAMED: Record<string, Scene> = { duel: "comparison", replay: "investigate", channels: "investigate" };

/** A scene's name as people read it. */
export const titleOf = (scene: Scene): string =>
  scene === "perf" ? "Server" : scene === "home" ? "Watch" : scene === "beside" ? "Side by side" : scene.charAt(0).toUpperCase() + scene.slice(1);

interface View {
  scene: Scene;
  says: Record<string, string>;
}

function read(): View {
  const [path = "", query = ""] = location.hash.replace(/^#\/?/, "").split("?");
  const known = [...SCENES, "tv"] as readonly string[];
  const scene = RENAMED[path] ?? ((known.includes(path) ? path : "home") as Scene);
  const says = Object.fromEntries(new URLSearchParams(query));
  if (says.theme === "light" || says.theme === "dark") document.documentElement.dataset.theme = says.theme;
  else delete document.documentElement.dataset.theme;
  return { scene, says };
}

const systems = matchMedia("(prefers-color-scheme: light)");
/** The theme that is shown: the one in the address, else the one that the system prefers. */
export const theme = (): "light" | "dark" => {
  const asked = document.documentElement.dataset.theme;
  return asked === "light" || asked === "dark" ? asked : systems.matches ? "light" : "dark";
};

class Address {
  #view = $state<View>(read());

  constructor() {
    addEventListener("hashchange", () => (this.#view = read()));
    systems.addEventListener("change", () => (this.#view = read()));
  }

  get scene(): Scene {
    return this.#view.scene;
  }
  get(name: string): string | undefined {
    return this.#view.says[name];
  }
  /** The address of a scene with some parameters changed; null removes one. */
  to(scene: Scene, changes: Record<string, string | number | null> = {}): string {
    const says: Record<string, string> = {};
    const kept = scene === this.scene ? Object.keys(this.#view.says) : ["theme", "mode", "ep", "t", "model", "present", "from", "to"];
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
  /** Change parameters without a new entry in the browser's history, as a moving playhead does. */
  say(changes: Record<string, string | number | null>): void {
    history.replaceState(null, "", this.to(this.scene, changes));
    this.#view = read();
  }
}

export const view = new Address();

export type Mode = "realistic" | "oracle" | "both";
export const mode = (): Mode => {
  const requested = view.get("mode");
  return requested === "oracle" || requested === "both" ? requested : "realistic";
};
