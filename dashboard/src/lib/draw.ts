// Small canvases, drawn only when what they show has changed.

import { look } from "./phases";

export interface Piece {
  start: number;
  end: number;
  label: string;
  /** Height, 0 to 1. */
  sure: number;
  wrong: boolean;
  missing: boolean;
}

export interface Place {
  x: number;
  y: number;
  label: string;
}

/** A canvas as large as its box, in device pixels; null while it has no box. */
export function sized(canvas: HTMLCanvasElement): CanvasRenderingContext2D | null {
  const { clientWidth: width, clientHeight: height } = canvas;
  if (!width || !height) return null;
  const ratio = devicePixelRatio || 1;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  const pen = canvas.getContext("2d")!;
  pen.scale(ratio, ratio);
  return pen;
}

/** Resolved for a canvas: it does not know `light-dark()`. */
export function token(canvas: HTMLElement, name: string): string {
  const probe = canvas.style.color;
  canvas.style.color = `var(${name})`;
  const found = getComputedStyle(canvas).color;
  canvas.style.color = probe;
  return found;
}

let hatch: CanvasPattern | null = null;
function hatched(pen: CanvasRenderingContext2D): CanvasPattern | null {
  if (hatch) return hatch;
  const tile = document.createElement("canvas");
  tile.width = tile.height = 10;
  const ink = tile.getContext("2d")!;
  ink.strokeStyle = "rgb(0 0 0 / 0.75)";
  ink.lineWidth = 2.4;
  ink.beginPath();
  for (const shift of [-10, 0, 10]) {
    ink.moveTo(shift - 2, 12);
    ink.lineTo(shift + 12, -2);
  }
  ink.stroke();
  hatch = pen.createPattern(tile, "repeat");
  return hatch;
}

/** One row of predictions: colour and letter are the phase, height is probability; hatched is wrong. */
export function ribbon(
  canvas: HTMLCanvasElement,
  pieces: Piece[],
  range: [number, number],
  hollow: boolean,
  labels: string[],
): void {
  const pen = sized(canvas);
  if (!pen) return;
  const { clientWidth: width, clientHeight: height } = canvas;
  const scale = width / Math.max(range[1] - range[0], 1e-9);
  const x = (at: number) => (at - range[0]) * scale;
  pen.clearRect(0, 0, width, height);
  pen.textBaseline = "middle";
  const soft = token(canvas, "--soft");
  pen.font = `600 ${Math.max(11, Math.min(height * 0.5, 22))}px "Inter Variable", sans-serif`;
  let run = 0;
  pieces.forEach((piece, place) => {
    const { colour } = look(piece.label, labels);
    const left = x(piece.start);
    const wide = Math.max(x(piece.end) - left - 1.5, 1);
    const tall = Math.max(3, height * (0.25 + 0.75 * piece.sure));
    const top = height - tall;
    pen.globalAlpha = piece.label === labels[0] ? 0.5 : 1;
    if (hollow) {
      pen.globalAlpha *= 0.28;
      pen.fillStyle = colour;
      pen.fillRect(left, top, wide, tall);
      pen.globalAlpha = 1;
      pen.strokeStyle = colour;
      pen.lineWidth = 2;
      pen.strokeRect(left + 1, top + 1, Math.max(wide - 2, 1), tall - 2);
    } else {
      pen.fillStyle = colour;
      pen.fillRect(left, top, wide, tall);
    }
    pen.globalAlpha = 1;
    if (piece.wrong) {
      pen.fillStyle = hatched(pen)!;
      pen.fillRect(left, top, wide, tall);
    }
    if (piece.missing) {
      pen.strokeStyle = soft;
      pen.lineWidth = 2;
      pen.setLineDash([4, 4]);
      pen.beginPath();
      pen.moveTo(left, height - 2);
      pen.lineTo(left + wide, height - 2);
      pen.stroke();
      pen.setLineDash([]);
    }
    const next = pieces[place + 1];
    if (!next || next.label !== piece.label || next.start > piece.end + 0.01) {
      letter(pen, pieces.slice(run, place + 1), x, height, labels, hollow, canvas);
      run = place + 1;
    }
  });
}

/** One letter for a run of equal predictions, where there is room. */
function letter(
  pen: CanvasRenderingContext2D,
  run: Piece[],
  x: (at: number) => number,
  height: number,
  labels: string[],
  hollow: boolean,
  canvas: HTMLCanvasElement,
): void {
  const first = run[0];
  const last = run.at(-1);
  if (!first || !last) return;
  const wide = Math.min(x(last.end), canvas.clientWidth) - Math.max(x(first.start), 0);
  if (wide < 14) return;
  const { letter: text, word } = look(first.label, labels);
  // A word over a wrong prediction must leave some of its hatching bare.
  const room = run.some((piece) => piece.wrong) ? wide / 2 : wide;
  const shown = pen.measureText(word).width + 18 < room ? word : text;
  const left = Math.max(x(first.start), 0) + 7;
  const right = pen.measureText(shown).width;
  const wrong = run.some((piece) => piece.wrong);
  const plain = hollow || first.label === labels[0];
  if (wrong) {
    pen.fillStyle = token(canvas, "--panel");
    pen.fillRect(left - 4, height * 0.66 - 11, right + 8, 21);
  }
  pen.fillStyle = wrong || plain ? token(canvas, "--ink") : "#10141a";
  pen.fillText(shown, left, height * 0.66);
}

/** A column a window, a row a channel; blue below usual, orange above, bare where not measured. */
export function heat(canvas: HTMLCanvasElement, columns: (number | null)[][], rows: number[]): void {
  canvas.width = Math.max(columns.length, 1);
  canvas.height = Math.max(rows.length, 1);
  const pen = canvas.getContext("2d")!;
  const image = pen.createImageData(canvas.width, canvas.height);
  const dark = token(canvas, "--panel").match(/\d+/g)!.map(Number);
  columns.forEach((column, x) => {
    // No window was predicted there.
    if (!column.length) return;
    rows.forEach((row, y) => {
      const z = column[row];
      const at = 4 * (y * canvas.width + x);
      const shade = z === null || z === undefined ? null : Math.max(-1, Math.min(1, z / 3));
      const strong = shade === null ? 0 : Math.abs(shade) ** 0.8;
      const to = shade === null ? [128, 128, 128] : shade < 0 ? [86, 180, 233] : [230, 130, 0];
      for (let c = 0; c < 3; c += 1) {
        image.data[at + c] = Math.round(dark[c]! + (to[c]! - dark[c]!) * (shade === null ? 0.25 : strong));
      }
      image.data[at + 3] = 255;
    });
  });
  pen.putImageData(image, 0, 0);
}

/** Lines over the axis of time, all on one scale; a gap is where nothing was measured. */
export function lines(
  canvas: HTMLCanvasElement,
  series: { at: number; value: number | null }[][],
  colours: string[],
  range: [number, number],
): void {
  const pen = sized(canvas);
  if (!pen) return;
  const { clientWidth: width, clientHeight: height } = canvas;
  const known = series.flatMap((one) => one.flatMap(({ value }) => value ?? []));
  const low = Math.min(0, ...known);
  const high = Math.max(1, ...known);
  const x = (at: number) => (width * (at - range[0])) / Math.max(range[1] - range[0], 1e-9);
  const y = (value: number) => height - 6 - ((height - 12) * (value - low)) / (high - low);
  pen.font = '12px "Inter Variable", sans-serif';
  pen.fillStyle = token(canvas, "--soft");
  pen.strokeStyle = token(canvas, "--line");
  for (const value of [low, 0, high]) {
    pen.beginPath();
    pen.moveTo(0, y(value));
    pen.lineTo(width, y(value));
    pen.stroke();
    pen.fillText(value.toFixed(1), 3, y(value) - 2 < 10 ? 11 : y(value) - 2);
  }
  pen.lineWidth = 2.5;
  series.forEach((points, place) => {
    pen.strokeStyle = colours[place]!;
    pen.beginPath();
    let broken = true;
    for (const { at, value } of points) {
      if (value !== null && broken) pen.moveTo(x(at), y(value));
      else if (value !== null) pen.lineTo(x(at), y(value));
      broken = value === null;
    }
    pen.stroke();
  });
}

/** The last windows on the projection on which training windows differ most; the cross is their mean. */
export function trail(canvas: HTMLCanvasElement, all: Place[], last: Place[], labels: string[]): void {
  const pen = sized(canvas);
  if (!pen) return;
  const { clientWidth: width, clientHeight: height } = canvas;
  // Both directions at one scale, which no window of the episode leaves.
  const most = Math.max(1, ...all.map((one) => Math.max(Math.abs(one.x) / width, Math.abs(one.y) / height) * height));
  const x = (one: Place) => width / 2 + ((height / 2 - 14) * one.x) / most;
  const y = (one: Place) => height / 2 - ((height / 2 - 14) * one.y) / most;
  pen.strokeStyle = token(canvas, "--line");
  pen.beginPath();
  pen.moveTo(0, height / 2);
  pen.lineTo(width, height / 2);
  pen.moveTo(width / 2, 0);
  pen.lineTo(width / 2, height);
  pen.stroke();
  pen.lineWidth = 2;
  pen.strokeStyle = token(canvas, "--soft");
  pen.beginPath();
  last.forEach((one) => pen.lineTo(x(one), y(one)));
  pen.stroke();
  pen.textAlign = "center";
  pen.textBaseline = "middle";
  pen.font = '700 15px "Inter Variable", sans-serif';
  last.forEach((one, place) => {
    const { colour, letter: text } = look(one.label, labels);
    const now = place === last.length - 1;
    pen.fillStyle = colour;
    pen.beginPath();
    pen.arc(x(one), y(one), now ? 13 : 6, 0, 7);
    pen.fill();
    if (!now) return;
    pen.strokeStyle = token(canvas, "--ink");
    pen.stroke();
    pen.fillStyle = "#10141a";
    pen.fillText(text, x(one), y(one) + 1);
  });
}

/** Draw again whenever the box changes its size. */
export function resized(canvas: HTMLCanvasElement, draw: () => void): () => void {
  const watch = new ResizeObserver(draw);
  watch.observe(canvas);
  return () => watch.disconnect();
}
