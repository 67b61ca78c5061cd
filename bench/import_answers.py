"""The right answers to the files that bench/import_cases.py tries: what should come out of each.

Written by hand from the `expected.md` beside the files, and from the files themselves where it
gives no figure.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

TEN = 1_688_551_200.0
"""2023-07-05 10:00 UTC, when most of the files begin."""

BENIGN = {"benign": r"benign|normal|^0([.]0)?$|background"}
MINING = {**BENIGN, "hostile": r"mining|attack|^1([.]0)?$|botnet|anomal"}

UNLABELLED = (r'^value = "\?"', 'value = "benign"')
"""What a user answers where no column states the phase: everything in the file is benign."""


@dataclass(frozen=True)
class Channel:
    """One channel: its kind, or kinds as an expression, and figures of all values of an episode.

    Values are those before they become steps. `mean` and `total` are of the first episode. A
    counter's `rate` is its growth a second.
    """

    kind: str
    mean: float | None = None
    total: float | None = None
    rate: float | None = None
    missing: int | None = None


@dataclass(frozen=True)
class Answer:
    """What a case should come to.

    `channels` are found by regular expressions on their names; every channel that fits none of
    them or of `allowed` is wrong. `hostile` is the share of the time that is not benign. `rows`
    counts the times of an episode, 0 where rows are events in bins. `corrections` are lines of the
    drafts that a user changes, as a regular expression and the new line; `options` are those that
    `schema suggest` is run again with, and count as corrections. `exit` is the code of `import`.
    """

    case: str
    channels: Mapping[str, Channel]
    hosts: tuple[str, ...] = ()
    episodes: int = 1
    rows: int = 240
    every_s: float = 0.0
    start: float = TEN
    hostile: float = 0.0
    phases: Mapping[str, str] = field(default_factory=lambda: BENIGN)
    allowed: str = r"$^"
    corrections: tuple[tuple[str, str], ...] = (UNLABELLED,)
    options: tuple[tuple[str, str], ...] = ()
    exit: int = 0
    all_rows: int = 0
    """Rows of all episodes together, where a long recording is cut; 0 where it is not."""
    within_s: float = 1e-3
    """How far the first time may be from `start`, in seconds."""


def _labelled(case: str, channels: Mapping[str, Channel], **more: object) -> Answer:
    """Return an answer for a file whose middle third is an attack, labelled in the file."""
    third = {"hostile": 1 / 3, "phases": MINING, "corrections": ()}
    return Answer(case, channels, **{**third, **more})  # type: ignore[arg-type]


def _gauge(mean: float) -> Channel:
    return Channel("gauge", mean=mean)


def _sadf(user: float) -> dict[str, Channel]:
    return {
        r"user$": _gauge(user),
        r"system$": Channel("gauge"),
        r"iowait$": Channel("gauge"),
        r"idle$": Channel("gauge"),
    }


_NOT_BUSY = r"nice$|steal$"
"""Columns that are zero throughout: channels or not, as one likes."""

_WEB = ("web1",)


def _sysstat() -> list[Answer]:
    memory = {rf"{name}$": Channel("gauge") for name in ("kbmemfree", "kbavail", "kbmemused")}
    plain = Answer("01-sadf/a_cpu.csv", _sadf(32.0248), _WEB, every_s=10, allowed=_NOT_BUSY)
    return [
        plain,
        replace(
            plain,
            case="01-sadf/b_two_blocks.csv",
            channels={
                **_sadf(31.8413),
                r"[^b]memused$|mem_used|memused_p": Channel("gauge"),
                **memory,
            },
        ),
        replace(plain, case="01-sadf/c_commas.csv", channels=_sadf(32.0093)),
        replace(plain, case="01-sadf/d_epoch_commas.csv", channels=_sadf(31.7391)),
    ]


def _perfmon() -> list[Answer]:
    figures = {
        "a_us": (31.943, 2881.01, 50590.2),
        "b_available_bytes": (31.9461, 3.0446e9, 50113.8),
        "c_utf16": (32.0144, 2880.99, 50011.4),
        "d_german": (32.149, 2881.01, 52282.6),
        "e_german_iso": (32.0801, 2881.01, 50165.7),
        "f_available_bytes_quiet": (31.9213, 1.90015e9, 52733.4),
    }
    return [
        Answer(
            f"03-perfmon/{name}.csv",
            {
                r"processor": _gauge(cpu),
                r"available": _gauge(memory),
                r"received": Channel("gauge", mean=received),
            },
            ("WEB1",),
            every_s=5.037 if name[0] != "f" else 5.0,
            start=TEN - 7200 * name.startswith("d_"),
        )
        for name, (cpu, memory, received) in figures.items()
    ]


_FLOW_CHANNELS = {
    r"duration$|_dur$|[.]dur$": Channel("event"),
    r"tot(al)?_fwd_packets$|totpkts$": Channel("event"),
}
_RATES = r"_b?yte?s_s$|bytes_s$|packets_s$|per_s"


def _flows() -> list[Answer]:
    packets = {"a_2017_dup": 15.4317, "b_2017_cp1252": 14.4617, "c_2018_repeat": 15.6367,
               "d_iso_inf": 15.0917, "e_iso_repeat": 15.03}  # fmt: skip
    cic = [
        _labelled(
            f"04-cicflow/{name}.csv",
            {
                r"flow_duration$": Channel("event"),
                r"total_fwd_packets$": Channel("event", total=mean * 600),
                r"[.]rows$": Channel("event", total=600),
            },
            allowed=r"header_length(_?1|_?2)?$|idle_min$",
            rows=0,
            hostile=0.12,
            within_s=60.0,
        )
        for name, mean in packets.items()
    ]
    ctu = [
        _labelled(
            f"09-ctu13/{name}",
            {
                r"[.]dur$": Channel("event", total=4.45359 * 600),
                r"totpkts$": Channel("event", total=4.51167 * 600),
                r"totbytes$": Channel("event", total=471.557 * 600),
                r"srcbytes$": Channel("event", total=129.225 * 600),
                r"[.]rows$": Channel("event", total=600),
            },
            allowed=r"tos$",
            rows=0,
            hostile=-1.0,
            within_s=60.0,
        )
        for name in ("a/capture.binetflow", "b/capture.csv")
    ]
    return [*cic, *ctu]


def _zeek() -> list[Answer]:
    return [
        Answer(
            f"07-zeek/{name}",
            {
                r"orig_bytes$": Channel("event", total=89670),
                r"resp_bytes$": Channel("event", total=4_191_709),
                r"[.](rows|flows|connections)$": Channel("event", total=600),
            },
            allowed=r"duration$",
            rows=0,
            within_s=60.0,
        )
        for name in ("tsv/conn.log", "cat/conn.log", "json/conn.log", "jsonl/conn.jsonl")
    ]


def _suricata() -> list[Answer]:
    return [
        Answer(
            f"08-suricata/{name}",
            {
                r"bytes_toclient$": Channel("event", total=1_271_520),
                r"bytes_toserver$": Channel("event"),
                r"[.](rows|flows)$": Channel("event", total=240),
            },
            allowed=r"pkts_to\w+$|age$",
            rows=0,
            within_s=60.0,
        )
        for name in ("a/eve.json", "b/eve.jsonl")
    ]


def _metrics() -> list[Answer]:
    three = tuple(f"web{n}" for n in (1, 2, 3))
    seconds = {r"cpu": Channel("counter", rate=0.1)}
    cpu = {r"usage_user$": Channel("gauge")}
    net = {r"used_percent$": Channel("gauge"), r"bytes_recv$": Channel("counter", rate=100.0)}
    prometheus = Answer("05-prometheus/a_matrix.json", seconds, three, 3, every_s=15)
    influx = Answer("06-influx-telegraf/a_annotated.csv", {**cpu, **net}, _WEB, every_s=10)
    telegraf = {**cpu, r"usage_idle$": Channel("gauge"), r"used_percent$": Channel("gauge")}
    return [
        prometheus,
        replace(prometheus, case="05-prometheus/b_vm_export.jsonl"),
        influx,
        replace(influx, case="06-influx-telegraf/b_long.csv"),
        replace(influx, case="06-influx-telegraf/c_telegraf.jsonl", channels=telegraf),
    ]


def _plants() -> list[Answer]:
    skab = {
        r"accelerometer1rms$": _gauge(0.0400052),
        r"current$": _gauge(1.49427),
        r"pressure$": _gauge(0.201809),
        r"temperature$": _gauge(70.4819),
    }
    hai = {
        r"p1_fcv01d$": _gauge(35.2642),
        r"p1_lit01$": _gauge(402.568),
        r"p2_sit01$": _gauge(784.5),
    }
    noise = {r"p1_lit01$": _gauge(402.52), r"p2_sit01$": _gauge(784.485)}
    of_1000 = {"rows": 1000, "every_s": 1.0, "hostile": 0.3}
    return [
        _labelled("11-skab-hai/hai/test1.csv", hai, **of_1000),
        _labelled("11-skab-hai/skab_comma/valve1/0.csv", skab, **of_1000),
        _labelled("11-skab-hai/skab_semicolon/valve1/0.csv", skab, **of_1000),
        _labelled("27-answer-as-channel", noise, episodes=3, rows=3000, every_s=1.0, hostile=0.5),
    ]


def _hosts() -> list[Answer]:
    four = tuple(f"m_{n}" for n in range(4))
    counters = {
        r"cpu_percent$": Channel("gauge"),
        r"rx_bytes_total$": Channel("counter", rate=100.0),
    }
    context = {r"ctx_total$": Channel("counter", rate=1.0)}
    numeric = Answer(
        "13-many-hosts/numeric_host/a.csv",
        counters, ("0", "1", "2", "3"), 4, every_s=10, within_s=2.0,
    )  # fmt: skip
    named = replace(numeric, hosts=four, channels={**counters, **context}, within_s=8.0)
    return [
        numeric,
        *(
            replace(named, case=f"13-many-hosts/{name}/a.csv")
            for name in ("same_time_machine_id", "staggered_host", "staggered_machine_id")
        ),
        _labelled(
            "29-good",
            {r"cpu$": Channel("gauge"), r"rx$": Channel("counter", rate=200.0)},
            hosts=("h0", "h1", "h2", "h3"),
            episodes=4,
            rows=720,
            every_s=5,
        ),
    ]


def _clocks() -> list[Answer]:
    berlin = ((r'^zone = "[?]"', 'zone = "Europe/Berlin"'), UNLABELLED)
    wall = Answer(
        "15-dst/autumn.csv", {r"cpu$": _gauge(32.0539)}, every_s=60,
        start=1_698_537_600.0, corrections=berlin,
    )  # fmt: skip
    spring = {r"cpu$": _gauge(32.0163)}
    relative = ((r'^start = "[?]"', 'start = "2023-07-05T10:00:00Z"'), UNLABELLED)
    counted = {r"cpu$": Channel("gauge"), r"rx$": Channel("counter", rate=200.0)}
    seconds = Answer("17-relative-time/seconds.csv", counted, every_s=0.5, corrections=relative)
    of_day = replace(
        seconds,
        case="17-relative-time/timeofday.csv",
        channels={**counted, r"rx$": Channel("counter", rate=20.0)},
        every_s=5,
        corrections=((r'^start = "[?]"', 'start = "2023-07-05"'), UNLABELLED),
    )
    # Counts of a second each, every second: a level of counts, or events.
    perf = {name: Channel("gauge|event") for name in (r"cycles", r"instructions")}
    return [
        wall,
        replace(wall, case="15-dst/spring/a.csv", channels=spring, start=1_679_788_800.0),
        seconds,
        of_day,
        replace(seconds, case="17-relative-time/perf_stat.csv", channels=perf, every_s=1,
                within_s=1.1, options=(("--time", "column_1"),)),
        Answer("17-relative-time/khz.csv", {r"current$": _gauge(0.0501784)}, rows=20_000,
               every_s=0.001),
        _labelled("18-slow/hourly.csv", {r"cpu$": _gauge(7.96333), r"mem$": _gauge(1.04583e9)},
                  every_s=3600, episodes=3, rows=0, all_rows=240, hostile=-1.0),
        Answer("18-slow/rrddata.json", {r"cpu$": Channel("gauge"), r"mem$": Channel("gauge")},
               rows=70, every_s=1800, allowed=r"netin$"),
    ]  # fmt: skip


def _files() -> list[Answer]:
    cpu = {r"cpu$": _gauge(31.9354)}
    return [
        *(
            _labelled(f"16-compressed/{name}", cpu, every_s=5)
            for name in ("GZ/A.CSV", "bz2/a.csv.bz2", "gz/a.csv.gz", "noext/a", "txt/a.txt",
                         "xz/a.csv.xz", "zip/a.zip", "zip2/a.csv.zip")
        ),
        _labelled("14-label-intervals", {r"cpu$": _gauge(31.828),
                  r"rx$": Channel("counter", rate=200.0)}, every_s=5),
        _labelled("28-one-bad-file", {r"cpu$": _gauge(31.884),
                  r"rx$": Channel("counter", rate=20.0)}, episodes=3, every_s=5, exit=3),
    ]  # fmt: skip


def _numbers() -> list[Answer]:
    decimal = {r"cpu$": _gauge(32.0329), r"mem$": _gauge(4.92826)}
    return [
        Answer("19-numbers/decimal_comma.csv", decimal, every_s=5),
        _labelled("19-numbers/inf_gauge.csv", {r"cpu$": _gauge(31.9037),
                  r"ratio$": Channel("gauge", mean=5.05871, missing=5)}, every_s=5),
        _labelled("19-numbers/missing_words.csv", {r"cpu$": _gauge(31.8901),
                  r"temp$": Channel("gauge", mean=44.9585, missing=24)}, every_s=5),
        _labelled("19-numbers/sentinel.csv", {r"cpu$": _gauge(32.0855),
                  r"temp$": Channel("gauge", mean=44.9512, missing=5)}, every_s=5),
        Answer("19-numbers/thousands.csv", {r"mem_kb$": Channel("gauge"),
               r"cpu$": Channel("gauge"), r"net$": Channel("gauge")}, every_s=5),
    ]  # fmt: skip


def _agents() -> list[Answer]:
    query = Answer(
        "21-json-agents/osquery/osqueryd.results.log",
        {r"user$": Channel("counter", rate=1.5), r"system$": Channel("counter", rate=0.3)},
        ("web0", "web1", "web2"), 3, every_s=10,
    )  # fmt: skip
    falco = Answer(
        "21-json-agents/falco/falco.jsonl",
        {r"[.](rows|alerts|events)$": Channel("event", total=600)},
        _WEB, rows=0, within_s=60.0, allowed=r"[.](r\d|execve|openat|connect)$",
    )  # fmt: skip
    counted = Channel("counter", rate=0.15)
    return [
        query,
        replace(query, case="21-json-agents/osquery2/results.jsonl"),
        falco,
        replace(falco, case="21-json-agents/tracee/tracee.jsonl"),
        Answer("21-json-agents/otlp/metrics.jsonl", {r"cpu": counted}, _WEB, every_s=10),
        Answer("21-json-agents/u2028/a.jsonl", {r"cpu$": Channel("gauge")}, every_s=5),
    ]


def _collectd() -> list[Answer]:
    daemon = Answer(
        "22-collectd/csv",
        {
            r"user": Channel("counter", rate=0.3),
            r"idle": Channel("counter", rate=9.0),
            r"shortterm$": Channel("gauge"),
        },
        ("web1", "web2"), 2, every_s=10, allowed=r"(mid|long)term$",
    )  # fmt: skip
    return [daemon, replace(daemon, case="22-collectd/raw")]


ANSWERS: tuple[Answer, ...] = (
    *_sysstat(), *_perfmon(), *_flows(), *_zeek(), *_suricata(), *_metrics(), *_plants(),
    *_hosts(), *_clocks(), *_files(), *_numbers(), *_agents(), *_collectd(),
)  # fmt: skip
