// The six kinds of events as the page reads them; docs/events has the contract.

export interface Prediction {
  p: number[];
  label: string;
  entropy_bits: number;
  latency_s: number;
  xy: [number, number] | null;
}
export interface Window {
  episode_id: string;
  index: number;
  start_s: number;
  end_s: number;
  truth: string | null;
  models: Record<string, Prediction>;
  z: (number | null)[];
  present_ratio: number[];
  missing: string[];
  lag_s: number;
  skipped_before: number;
}
export interface ModelFacts {
  key: string;
  model: string;
  mode: string;
  status: "loaded" | "refused";
  reason: string | null;
  schema_hash: string | null;
  data_schema_hash: string;
  chosen: boolean;
}
export interface Channel {
  name: string;
  source: string;
  unit: string;
  deployed: boolean;
  meaning: string;
}
export interface Span {
  label: string;
  start_s: number;
  end_s: number;
}
export interface Transport {
  state: "awaiting" | "playing" | "paused" | "ended";
  speed: number;
  position_s: number;
  loop_s: [number, number] | null;
  revision: number;
  control: boolean;
}
export interface Episode {
  episode_id: string;
  mode: "replay" | "live";
  host: string;
  profile: string;
  acceptance: string;
  findings: string[];
  start_wall_ns: string;
  duration_s: number | null;
  opening_s: number;
  window_s: number;
  stride_s: number;
  labels: string[];
  channels: Channel[];
  sources: { source: string; present: boolean }[];
  phases: Span[] | null;
  split_recipe: string | null;
  split_role: string | null;
  models: ModelFacts[];
  transport: Transport;
}
export interface Estimate {
  value: number;
  lo: number | null;
  hi: number | null;
  episodes: number;
  windows: number;
}
export interface PartScore {
  name: string;
  macro_f1: Estimate | null;
  right_ratio: number | null;
  status: "tested" | "untested" | "too_few";
}
export interface TrackRecord {
  false_alarms_lo_per_hour: number;
  false_alarms_hi_per_hour: number;
  onsets: number;
  missed_ratio: number | null;
  delay_s: [number, number] | null;
  incidents: {
    target_per_hour: number;
    false_per_hour: number;
    false_hi_per_hour: number;
    calm_hours: number;
    noticed_ratio: number | null;
    noticed_of: number;
    delay_s: number | null;
  } | null;
  sureness: { p: number; right_ratio: number; windows: number }[];
}
export interface Row {
  model: string;
  mode: string;
  chosen: boolean;
  validation_macro_f1: number;
  right_ratio: number;
  macro_f1: Estimate;
  seen_macro_f1: Estimate;
  per_class: { label: string; f1: Estimate | null; support: number }[];
  per_profile: PartScore[];
  per_host: PartScore[];
  confusion: { labels: string[]; counts: number[][] };
  ece: number | null;
  false_alarms_per_hour: number | null;
  track_record: TrackRecord | null;
  baseline: boolean;
  size_bytes: number | null;
}
export interface Scoreboard {
  run_id: string;
  recipe: string;
  held_out: string;
  counts: { part: string; episodes: number; windows: number | null }[];
  labels: string[];
  rows: Row[];
  chance_macro_f1: number | null;
  untested_profiles: string[];
  untested_phases: string[];
  never_recorded: string[];
}
export interface Pair {
  a: string;
  b: string;
  mode: string;
  delta: Estimate;
  p_adjusted: number;
  verdict: "a" | "b" | "undecided";
  reason: string;
}
export interface Comparison {
  recipe: string;
  held_out: string;
  method: string;
  pairs: Pair[];
}
export interface Perf {
  host: string;
  device: string;
  cpu_ratio: number;
  cores_ratio: number[];
  rss_bytes: number;
  mem_available_bytes: number;
  mem_total_bytes: number;
  soc_celsius: number | null;
  throttled: { now: boolean; ever: boolean } | null;
  disk_free_bytes: number;
  models: { key: string; count: number; p50_s: number; p95_s: number; p99_s: number; max_s: number }[];
  window: { p50_s: number; p95_s: number; p99_s: number; max_s: number; count: number } | null;
  windows_per_s: number;
  deadline_s: number | null;
  deadline_misses_total: number;
  windows_skipped_total: number;
  samples_late_total: number;
  queue_depth: number;
  events_dropped_total: number;
  viewers: number;
  viewers_cut_total: number;
  uptime_s: number;
}
export interface Profile {
  profile: string;
  summary: string;
  episodes: { accepted: number; degraded: number; rejected: number; errored: number };
  hosts: { host: string; episodes: number }[];
  duration_s: { p10: number; p50: number; p90: number } | null;
  phase_share_ratio: Record<string, number>;
  coverage: { recipe: string; train: number; val: number; seen: number; test: number; status: string }[];
  fingerprint: { mean_z: (number | null)[]; sd_z: (number | null)[] };
  top_channels: { channel: string; importance: number }[];
}
export interface Producer {
  name: string;
  kinds: string[];
  every_s: Record<string, number | null>;
  fill: string;
  progress: string;
  trouble: string | null;
}
export interface Level {
  name: string;
  value: number | null;
  baseline: number | null;
}
export interface Why {
  episode_id: string;
  index: number;
  model: string;
  levels: Level[];
  label: string;
  logit: number;
  base: number;
  base_is: string;
  method: string;
  sources: { name: string; logit: number }[];
  channels: { name: string; logit: number }[];
  channels_add_up: boolean;
}
export interface Listed {
  episode_id: string;
  host: string;
  profile: string;
  campaign: string;
  duration_s: number;
  phases: string[];
  acceptance: string | null;
  split_role: string | null;
  errors: { wrong: number; windows: number } | null;
}
export interface CellWindow {
  episode_id: string;
  end_s: number;
  probability: number;
}
export interface MachineNow {
  machine: string;
  host: string;
  episode_id: string;
  model: string | null;
  labels: string[];
  stride_s: number;
  state: "starting" | "running" | "stopped";
  position_s: number | null;
  end_wall_ns: string | null;
  label: string | null;
  p: number[] | null;
  phase_since_ns: string | null;
  agreement_ratio: number | null;
  incident_id: string | null;
  ribbon: { label: string; p: number }[];
  skipped_total: number;
  lag_s: number | null;
}
export interface Incident {
  id: string;
  machine: string;
  host: string;
  model: string;
  episode: string;
  opened_ns: string;
  last_ns: string;
  closed_ns: string | null;
  opened_at_s: number;
  peak: number;
  windows: number;
  phases: string[];
  channels: string[];
  acknowledged_ns: string | null;
  muted_until_ns: string | null;
  mute_reason: string | null;
  notes: { at_ns: string; text: string }[];
}
