"""What the words of a column's name say: a level or a running total, an address, an average.

Names are split at separators and at capitals, so that `rx_bytes_total`, `RxBytesTotal` and
`rx.bytes.total` say the same. The words are those that monitoring tools use: sysstat, collectd,
Telegraf, Prometheus exporters, perfmon, Zeek, Suricata, Argus, CICFlowMeter.
"""

import re


def lexicon(text: str) -> frozenset[str]:
    """Return the words of a text as a set."""
    return frozenset(re.findall(r"\S+", text))


PART = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+|%")

LEVEL = lexicon(
    """
    free avail available used use usage usable memory mem memused memfree kbmemfree kbmemused
    kbavail kbcached kbbuffers rss vsz heap cache cached buffers buffered swap size level load
    percent pct % ratio share rate util utilization temperature temp voltage volt current
    power pressure humidity frequency freq mhz ghz clock queue depth length len backlog
    pending active running blocked open connected threads processes procs tasks users clients
    sessions average avg mean median min max p50 p90 p95 p99 last latency delay rms distance
    speed altitude battery fan rpm position angle
    """
)
"""Words for a quantity that may rise and fall."""

TOTAL = lexicon(
    """
    total totals count counter counts cnt bytes byte octets packets packet pkts pkt frames rx
    tx recv received receive sent send transmit transmitted read reads write writes written
    restarts sectors in out ticks jiffies ctx ctxt switches intr interrupts irq softirq faults
    pgfault pgmajfault errors errs error drops dropped drop retrans requests reqs queries hits
    misses ops operations calls syscalls forks seconds cumulative sum user system idle iowait nice
    steal guest kernel cputime utime stime cycles instructions transfers completed merged
    """
)
"""Words for a quantity that adds up."""

SUBSYSTEM = lexicon("cpu net network disk diskio io kernel netstat tcp udp interface sensors")
"""Further words for what is measured, where a row names it."""

RATIO = lexicon(
    """
    avg average mean median std stddev var variance min max minimum maximum ratio rate percent
    pct % share per s sec speed p50 p90 p95 p99 quantile score priority severity level
    confidence ttl tos version win window
    """
)
"""Words for a value of one event that means nothing when it is added to others."""

EXTENSIVE = lexicon(
    """
    bytes byte octets packets packet pkts pkt frames count counts cnt num number tot total
    totlen duration dur elapsed age length len size hits requests errors retrans bits lines
    files rows totpkts totbytes srcbytes dstbytes
    ipkt opkt ibyt obyt td
    """
)
"""Words for a value of one event that adds up over events."""

AMOUNT = frozenset(["bytes", "octets", "packets", "pkts", "count", "cnt", "totpkts", "totbytes"])
"""Words that say an amount even beside one that names something, as in "SYN flag count"."""

DIRECTION = lexicon("toserver toclient orig resp src dst fwd bwd sent rcvd recv in out up down")
"""Words for the two ends of a flow, whose amounts are of that flow and no running totals."""

IDENTIFIER = lexicon(
    """
    id ids uid uuid guid pid ppid tid ptid gid sid port ports sport dport addr address ip ipv4
    ipv6 mac serial key hash code index idx seq sequence cpu core processor line epoch inode
    fd errno argc args protocol proto vlan asn user session flags flag return offset
    """
)
"""Words for a number that names something, or says where it is."""

ENDPOINT = lexicon(
    """
    src dst source destination sport dport srcaddr dstaddr srcip dstip saddr daddr srcport dstport
    sa da sp dp orig resp dest sip dip
    """
)
"""Words of the two ends of a flow: a table with both has a row for each flow."""

FLOW = lexicon(
    """
    uid flow conn port ports sport dport src dst srcaddr dstaddr srcip dstip daddr saddr proto
    protocol rule alert signature severity priority event eventid eventname syscall pid ppid
    process exe comm cmdline uri url query method action dest destination
    """
)
"""Words of columns that only logs of events, flows and alerts have."""


def words(name: str) -> list[str]:
    """Return the words of a name, in lower case, each number and each `%` as a word."""
    return [part.lower() for part in PART.findall(name)]


def stem(name: str) -> str:
    """Return what stands before the number at the end of a name, "" for a name without one."""
    found = re.fullmatch(r"(.*[^\d])\d+", name)
    return found[1] if found else ""


def level(name: str) -> bool:
    """Return whether a name says that a quantity may rise and fall; "per second" is such a word."""
    parts = words(name)
    if parts[-1:] == ["total"]:
        return False
    joined = re.search(r"(/|\bper_?|_per_?)s(ec(ond)?)?\b", name.lower()) is not None
    stems = any(part.startswith(("kbmem", "kbswp", "mem", "pct")) for part in parts)
    return joined or stems or bool(LEVEL & set(parts))


def total(name: str) -> bool:
    """Return whether a name says that a quantity adds up, and not that it is a level."""
    return not level(name) and bool(TOTAL & set(words(name)))


def of_quantity(text: str) -> bool:
    """Return whether a text in a cell says what is measured rather than on which machine."""
    return level(text) or total(text) or bool(SUBSYSTEM & set(words(text)))


def extensive(name: str) -> bool:
    """Return whether values of events add up: sizes, counts and durations, but no averages."""
    parts = set(words(name))
    if re.search(r"(/|\bper_?|_per_?)s(ec(ond)?)?\b", name.lower()):
        return False
    if RATIO & parts or not EXTENSIVE & parts or words(name)[-1] in IDENTIFIER:
        return False
    return bool(AMOUNT & parts) or not IDENTIFIER & parts


def of_one_flow(name: str) -> bool:
    """Return whether an amount is one of the two ends of a flow."""
    return bool(DIRECTION & set(words(name)))


def identifier(name: str) -> bool:
    """Return whether a number names something: a port, a process, a protocol."""
    parts = words(name)
    return bool(IDENTIFIER & set(parts)) or parts[-1:] == ["p"]


def of_endpoint(name: str) -> bool:
    """Return whether a column names an end of a flow."""
    return bool(ENDPOINT & set(words(name)))


def of_event(name: str) -> bool:
    """Return whether only rows that are events have such a column."""
    return bool(FLOW & set(words(name)))
