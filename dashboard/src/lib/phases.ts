// Phases by colour and letter (Okabe and Ito 2008), so that nothing depends on colour alone.

export interface Look {
  colour: string;
  letter: string;
  word: string;
}

const COLOURS = ["#009e73", "#f0e442", "#56b4e9", "#cc79a7", "#e69f00", "#d55e00", "#0072b2", "#999"];
const looks = new WeakMap<string[], Map<string, Look>>();

/** How a phase looks among all `labels` of its schema: by its place, and by a letter of its own. */
export function look(label: string, labels: string[]): Look {
  let every = looks.get(labels);
  if (!every) looks.set(labels, (every = all(labels)));
  return every.get(label) ?? { colour: "#999", letter: "?", word: label };
}

/** The letter is the first of a word that no other has, or its number. */
function all(labels: string[]): Map<string, Look> {
  const taken = new Set<string>();
  return new Map(
    labels.map((label, place) => {
      const free = [...label.toUpperCase()].find((one) => /\p{L}/u.test(one) && !taken.has(one));
      const letter = free ?? `${place + 1}`;
      taken.add(letter);
      return [label, { colour: COLOURS[place % COLOURS.length]!, letter, word: label.replaceAll("_", " ") }];
    }),
  );
}

export const percent = (ratio: number): string => `${Math.round(100 * ratio)}%`;
export const score = (value: number): string => value.toFixed(2).replace(/^(-?)0\./, "$1.");
export const clock = (seconds: number): string => {
  const whole = Math.max(0, Math.floor(seconds));
  return `${String(Math.floor(whole / 60)).padStart(2, "0")}:${String(whole % 60).padStart(2, "0")}`;
};
export const bytes = (count: number): string =>
  count >= 2 ** 30 ? `${(count / 2 ** 30).toFixed(1)} GiB` : `${Math.round(count / 2 ** 20)} MiB`;
export const span = (seconds: number): string => {
  if (seconds < 0.001) return `${Math.round(seconds * 1e6)} µs`;
  if (seconds < 1) return `${(seconds * 1000).toFixed(seconds < 0.01 ? 1 : 0)} ms`;
  if (seconds < 120) return `${Math.round(seconds)} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  return seconds < 172800 ? `${Math.round(seconds / 3600)} h` : `${Math.floor(seconds / 86400)} d`;
};
