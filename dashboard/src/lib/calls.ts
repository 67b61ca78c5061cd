// What the models say, put in order for scenes.

import type { Piece, Place } from "./draw";
import type { Episode, ModelFacts, Window } from "./events";
import { mode, view } from "./view.svelte";

const ORDER = ["gbt", "mlp", "cnn", "gru", "lstm", "transformer"];

/** Models of the chosen mode, in one order everywhere; realistic before oracle. */
export function chosen(episode: Episode): ModelFacts[] {
  const asked = mode();
  const only = view.get("models")?.split(",");
  const place = (one: ModelFacts) => {
    const at = ORDER.indexOf(one.model);
    return (one.mode === "oracle" ? 100 : 0) + (at < 0 ? ORDER.length : at);
  };
  return episode.models
    .filter((one) => asked === "both" || one.mode === asked)
    .filter((one) => !only || only.includes(one.key))
    .toSorted((a, b) => place(a) - place(b) || a.key.localeCompare(b.key));
}

/** One model's calls, each from the moment it could be had until the next could. */
export function pieces(windows: Window[], key: string, stride: number): Piece[] {
  return windows.flatMap((window) => {
    const call = window.models[key];
    if (!call) return [];
    return {
      start: window.end_s,
      end: window.end_s + stride,
      label: call.label,
      sure: Math.max(...call.p),
      wrong: window.truth !== null && window.truth !== call.label,
      missing: window.missing.length > 0,
    };
  });
}

/** One model's windows on its plane. */
export const places = (windows: Window[], key: string): Place[] =>
  windows.flatMap((window) => {
    const call = window.models[key];
    return call?.xy ? { x: call.xy[0], y: call.xy[1], label: call.label } : [];
  });

export interface Verdict {
  label: string;
  votes: number;
  of: number;
}

/** What most of the models say; ties go to the phase with more probability. */
export function verdict(window: Window | null, models: ModelFacts[], labels: string[]): Verdict | null {
  const calls = models.flatMap((one) => window?.models[one.key] ?? []);
  if (!calls.length) return null;
  const weigh = (label: string, place: number) =>
    calls.filter((call) => call.label === label).length +
    calls.reduce((sum, call) => sum + (call.p[place] ?? 0), 0) / (calls.length * 10);
  const best = labels.toSorted((a, b) => weigh(b, labels.indexOf(b)) - weigh(a, labels.indexOf(a)))[0]!;
  return { label: best, votes: calls.filter((call) => call.label === best).length, of: calls.length };
}

export const wrong = (window: Window, models: ModelFacts[]): boolean =>
  window.truth !== null && models.some((one) => window.models[one.key] && window.models[one.key]!.label !== window.truth);

export const split = (window: Window, models: ModelFacts[]): boolean =>
  new Set(models.flatMap((one) => window.models[one.key]?.label ?? [])).size > 1;
