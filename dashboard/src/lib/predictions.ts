// The models' predictions, put in order for scenes.

import type { Piece, Place } from "./draw";
import type { Episode, ModelFacts, Window } from "./events";
import { mode, view } from "./view.svelte";

const ORDER = ["gbt", "mlp", "cnn", "gru", "lstm", "transformer"];

/** Models of the chosen mode, in one order everywhere; realistic before oracle. */
export function chosen(episode: Episode): ModelFacts[] {
  const requested = mode();
  const only = view.get("models")?.split(",");
  const place = (one: ModelFacts) => {
    const at = ORDER.indexOf(one.model);
    return (one.mode === "oracle" ? 100 : 0) + (at < 0 ? ORDER.length : at);
  };
  return episode.models
    .filter((one) => requested === "both" || one.mode === requested)
    .filter((one) => !only || only.includes(one.key))
    .toSorted((a, b) => place(a) - place(b) || a.key.localeCompare(b.key));
}

/** One model's predictions, each over the stride at its window's end: the span it is held to the truth of. */
export function pieces(windows: Window[], key: string, stride: number): Piece[] {
  return windows.flatMap((window) => {
    const prediction = window.models[key];
    if (!prediction) return [];
    return {
      start: window.end_s - stride,
      end: window.end_s,
      label: prediction.label,
      sure: Math.max(...prediction.p),
      wrong: window.truth !== null && window.truth !== prediction.label,
      missing: window.missing.length > 0,
    };
  });
}

/** One model's windows on its projection. */
export const places = (windows: Window[], key: string): Place[] =>
  windows.flatMap((window) => {
    const prediction = window.models[key];
    return prediction?.xy ? { x: prediction.xy[0], y: prediction.xy[1], label: prediction.label } : [];
  });

/** Whether any model predicts another phase than the true one. */
export const wrong = (window: Window, models: ModelFacts[]): boolean =>
  window.truth !== null && models.some((one) => window.models[one.key] && window.models[one.key]!.label !== window.truth);

/** Whether models predict different phases. */
export const disagree = (window: Window, models: ModelFacts[]): boolean =>
  new Set(models.flatMap((one) => window.models[one.key]?.label ?? [])).size > 1;
