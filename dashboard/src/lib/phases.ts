// Phases by colour and letter (Okabe and Ito 2008), so that nothing is told by colour alone.

export interface Look {
  colour: string;
  letter: string;
  word: string;
  /** Where there is little room. */
  brief: string;
}

const KNOWN: Record<string, Look> = {
  benign: { colour: "#009e73", letter: "B", word: "benign", brief: "benign" },
  execution: { colour: "#f0e442", letter: "E", word: "execution", brief: "execution" },
  discovery: { colour: "#56b4e9", letter: "D", word: "discovery", brief: "discovery" },
  command_and_control: { colour: "#cc79a7", letter: "C", word: "command & control", brief: "C2" },
  exfiltration: { colour: "#e69f00", letter: "X", word: "exfiltration", brief: "exfil" },
  impact: { colour: "#d55e00", letter: "I", word: "impact", brief: "impact" },
};
const SPARE = ["#009e73", "#0072b2", "#999", "#e69f00", "#cc79a7", "#56b4e9", "#d55e00"];

const taken = new WeakMap<string[], string[]>();
/** A letter for each of `labels`: the first of its own that no other has, or its number. */
function letters(labels: string[]): string[] {
  const found = labels.map((label) => KNOWN[label]?.letter ?? "");
  labels.forEach((label, place) => {
    found[place] ||= [...label.toUpperCase()].find((one) => /\p{L}/u.test(one) && !found.includes(one)) ?? `${place + 1}`;
  });
  taken.set(labels, found);
  return found;
}

/** A phase of somebody else's schema gets a spare colour, and a letter that is its own. */
export function look(label: string, labels: string[] = []): Look {
  const known = KNOWN[label];
  if (known) return known;
  const place = Math.max(labels.indexOf(label), 0);
  const word = label.replaceAll("_", " ");
  return {
    colour: SPARE[place % SPARE.length]!,
    letter: (taken.get(labels) ?? letters(labels))[place] ?? "?",
    word,
    brief: word,
  };
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
