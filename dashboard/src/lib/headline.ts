// What is headlined: the prediction of the model that is best on validation, and who dissents.

import type { Episode, ModelFacts, Prediction, Row, Window } from "./events";

/** Phases whose probabilities lie closer together than this are not decided between. */
export const UNDECIDED = 0.1;

export interface Headline {
  model: ModelFacts;
  label: string;
  /** The second phase of an undecided headline. */
  or: string | null;
  p: number;
  dissent: { model: ModelFacts; label: string; p: number }[];
  of: number;
}

/** The model chosen on validation in this mode; without one, the first that is loaded. */
export function headlined(models: ModelFacts[]): ModelFacts | null {
  const loaded = models.filter((one) => one.status === "loaded");
  return loaded.find((one) => one.chosen) ?? loaded[0] ?? null;
}

/** The second phase of a prediction that does not decide, or null. */
export function rival(prediction: Prediction, labels: string[]): string | null {
  const order = prediction.p.map((p, place) => ({ p, place })).sort((a, b) => b.p - a.p);
  const [first, second] = order;
  return first && second && first.p - second.p < UNDECIDED ? (labels[second.place] ?? null) : null;
}

export function headline(window: Window | null, models: ModelFacts[], episode: Episode): Headline | null {
  const model = headlined(models);
  const prediction = model && window?.models[model.key];
  if (!model || !prediction || !window) return null;
  const others = models.flatMap((one) => {
    const other = one.key === model.key ? undefined : window.models[one.key];
    return other ? [{ model: one, label: other.label, p: Math.max(...other.p) }] : [];
  });
  return {
    model,
    label: prediction.label,
    or: rival(prediction, episode.labels),
    p: Math.max(...prediction.p),
    dissent: others.filter((one) => one.label !== prediction.label),
    of: others.length,
  };
}

/** In words: of 100 held-out windows of about this probability, how many were right. */
export function sureness(row: Row | undefined, p: number): { right: number; windows: number } | null {
  const bins = row?.track_record?.sureness ?? [];
  const near = bins.toSorted((a, b) => Math.abs(a.p - p) - Math.abs(b.p - p))[0];
  return near ? { right: Math.round(100 * near.right_ratio), windows: near.windows } : null;
}
