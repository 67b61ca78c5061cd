// What is shown, to take away: as a table, as a picture, and as an address.

import { look, percent } from "./phases";
import { token } from "./draw";
import type { Episode, ModelFacts, Window } from "./events";

function save(name: string, data: Blob): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(data);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

const cell = (value: string | number): string => (/[",\n]/.test(`${value}`) ? `"${`${value}`.replaceAll('"', '""')}"` : `${value}`);

/** A row a window that is shown: when it ends, the truth, and each model's phase and probability. */
export function table(episode: Episode, windows: Window[], models: ModelFacts[]): string {
  const loaded = models.filter((one) => one.status === "loaded");
  const head = ["episode", "window_end_s", "truth", ...loaded.flatMap((one) => [`${one.key} phase`, `${one.key} probability`]), "missing"];
  const rows = windows.map((one) => [
    episode.episode_id,
    one.end_s,
    one.truth ?? "",
    ...loaded.flatMap(({ key }) => (one.models[key] ? [one.models[key].label, Math.max(...one.models[key].p)] : ["", ""])),
    one.missing.join(" "),
  ]);
  return [head, ...rows].map((row) => row.map(cell).join(",") + "\n").join("");
}
export function saveTable(episode: Episode, windows: Window[], models: ModelFacts[]): void {
  save(`${episode.episode_id}.csv`, new Blob([table(episode, windows, models)], { type: "text/csv" }));
}

/** The ribbons and the evidence one below the other, with what they are and who says so. */
export function savePicture(episode: Episode, title: string, from: HTMLElement): void {
  const rows = [...from.querySelectorAll<HTMLCanvasElement>(".rows canvas, .strip canvas")];
  const names = [...from.querySelectorAll<HTMLElement>(".rows .names > span")].map((one) => one.innerText.trim());
  const wide = Math.max(...rows.map((one) => one.clientWidth)) + 140;
  const heights = rows.map((one) => Math.max(24, one.clientHeight));
  const sheet = document.createElement("canvas");
  sheet.width = 2 * wide;
  sheet.height = 2 * (heights.reduce((sum, one) => sum + one + 6, 0) + 96);
  const pen = sheet.getContext("2d")!;
  pen.scale(2, 2);
  pen.fillStyle = token(from, "--bg");
  pen.fillRect(0, 0, wide, sheet.height);
  pen.fillStyle = token(from, "--ink");
  pen.font = '600 16px "Inter Variable", sans-serif';
  pen.fillText(title, 12, 26);
  pen.font = '13px "Inter Variable", sans-serif';
  let y = 44;
  rows.forEach((one, place) => {
    pen.fillStyle = token(from, "--ink");
    pen.fillText(names[place] ?? "evidence", 12, y + 16);
    pen.imageSmoothingEnabled = false;
    pen.drawImage(one, 128, y, one.clientWidth, heights[place]!);
    y += heights[place]! + 6;
  });
  let x = 12;
  for (const label of episode.labels) {
    const own = look(label, episode.labels);
    pen.fillStyle = own.colour;
    pen.fillRect(x, y + 10, 14, 14);
    pen.fillStyle = token(from, "--ink");
    pen.fillText(`${own.letter} ${own.word}`, x + 20, y + 22);
    x += 40 + pen.measureText(`${own.letter} ${own.word}`).width;
  }
  sheet.toBlob((data) => data && save(`${episode.episode_id}.png`, data));
}

/** Share of windows that a model predicts rightly, in words. */
export function right(windows: Window[], key: string): string {
  const known = windows.filter((one) => one.truth !== null && one.models[key]);
  const good = known.filter((one) => one.models[key]!.label === one.truth).length;
  return known.length ? `${good} of ${known.length} windows right, ${percent(good / known.length)}` : "no window with a known truth";
}
