"""Cases for `bench/import_cases.py --made`: files as monitoring tools write them, made here.

Each case is the content of some files, and what should come out of them. Five sets were written one
after the other to break the drafts, each with other tools, words and forms than the sets before it,
and before anything was mended for it; a case is named by its set. Numbers are drawn, names invented.
"""

# A table of cases: one long line each is easier to compare than ten short ones.
# ruff: noqa: E501, E701, E702, E731, E741, B007, B905, D103, RUF005
# fmt: off

import bz2
import datetime as dt
import gzip
import io
import json
import lzma
import zipfile
import zlib
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
from import_answers import UNLABELLED, Answer, Channel

T0 = 1_792_152_000
"""2026-10-16 12:00 UTC, when most of the files begin."""

BENIGN = {"benign": r"benign|normal|^0([.]0)?$|background|clean|ok|false|idle"}
HOSTILE = {**BENIGN, "hostile": r".*"}
G, C, E = Channel("gauge"), Channel("counter"), Channel("event")
UTC = dt.UTC

FILES: dict[str, dict[str, bytes]] = {}
MADE: list[Answer] = []


def g(mean, missing=None):
    """Return what a level should come to."""
    return Channel("gauge", mean=float(mean), missing=missing)


def c(rate):
    """Return what a running total should come to."""
    return Channel("counter", rate=float(rate))


def rng(name):
    """Return a generator whose seed is a name."""
    return np.random.default_rng(zlib.crc32(name.encode()))


def iso(seconds, tz=UTC, f="%Y-%m-%d %H:%M:%S"):
    """Return a time as a date."""
    return dt.datetime.fromtimestamp(seconds, tz).strftime(f)


def case(name, files, channels, source="", **more):
    """Add a case."""
    name = f"{SET}-{name}"
    FILES[name] = {
        path: data if isinstance(data, bytes) else data.encode() for path, data in files.items()
    }
    channels = {k if "|" in k or "$" in k else k + "$": v for k, v in channels.items()}
    hostile = more.get("hostile", 0) != 0
    more.setdefault("phases", HOSTILE if hostile else BENIGN)
    if hostile:
        more.setdefault("corrections", ())
    MADE.append(Answer(f"{name}/{source}" if source else name, channels, **more))


def walk(r, n, lo=5, hi=95):
    """Return a level that wanders."""
    x = np.cumsum(r.normal(0, 3, n)) + r.uniform(30, 60)
    return np.round(lo + (hi - lo) * (1 / (1 + np.exp(-(x - 50) / 20))), 2)


def tot(r, n, start=None, rate=100):
    """Return a running total."""
    return np.cumsum(r.poisson(rate, n)) + (r.integers(10_000, 90_000) if start is None else start)


def mid(n):
    """Return which rows are in the middle third."""
    return [n // 3 <= i < 2 * n // 3 for i in range(n)]


def grow(x, step):
    """Return the growth of a total a second."""
    return (float(x[-1]) - float(x[0])) / (step * (len(x) - 1))


def csvt(rows, sep=",", nl="\n"):
    """Return rows as text."""
    return nl.join(sep.join(map(str, r)) for r in rows) + nl


# ---------------------------------------------------------------- set 1

SET = 1
N = 240
# 1 German, cp1252, Gerät column, decimal comma, two hosts in turns, no phase
def two(name, step=10, n=N, hosts=("alpha", "bravo"), k=2):
    r = rng(name); return {h: (walk(r, n), tot(r, n)) for h in hosts}
d = two("geraet"); rows = [["Zeitstempel", "Gerätename", "CPU-Auslastung (%)", "Empfangen (Byte)"]]
for i in range(N):
    for j, h in enumerate(d):
        rows.append([iso(T0 + 10*i + 3*j, f="%d.%m.%Y %H:%M:%S"), h, str(d[h][0][i]).replace(".", ","), d[h][1][i]])
case("01_geraet", {"messung.csv": csvt(rows, ";", "\r\n").encode("cp1252")}, {"cpu.*": g(d["alpha"][0].mean()), "empfangen.*": c(grow(d["alpha"][1], 10))}, hosts=("alpha", "bravo"), episodes=2, every_s=10, start=T0,
     corrections=(UNLABELLED, (r"empfangen.*\"\?\"", '  ["empfangen_byte", "B", "counter", "x"],')), options=(("--host", "Gerätename"),))
# 2 pipe with blanks
r = rng("pipe"); a, b = walk(r, N), tot(r, N)
case("02_pipe", {"x.txt": csvt([["ts", "busy_pct", "tx_bytes_total"]] + [[T0+5*i, a[i], b[i]] for i in range(N)], " | ")}, {"busy_pct": g(a.mean()), "tx_bytes_total": c(grow(b, 5))}, every_s=5, start=T0)
# 3 '; ' with blanks, comma decimals, label
m = mid(N)
case("03_semiblank", {"x.csv": csvt([["time", "load1", "rx", "label"]] + [[iso(T0+15*i), str(a[i]).replace(".", ","), b[i], "scan" if m[i] else "normal"] for i in range(N)], "; ")}, {"load1": g(a.mean()), "rx": c(grow(b, 15))}, every_s=15, start=T0, hostile=1/3)
# 4 tab, two-column clock Datum Uhrzeit
case("04_datumuhrzeit", {"x.tsv": csvt([["Datum", "Uhrzeit", "Temperatur", "Auslastung"]] + [[iso(T0+60*i, f="%d.%m.%Y"), iso(T0+60*i, f="%H:%M:%S"), str(a[i]).replace(".", ","), str(round(b[i]/1000,1)).replace(".", ",")] for i in range(N)], "\t")}, {"temperatur": g(a.mean()), "auslastung": G}, every_s=60, start=T0, corrections=(UNLABELLED, (r'auslastung.*"\?"', '["auslastung","1","gauge","x"],')))
# 5 date int and time int
case("05_yyyymmdd_hhmmss", {"x.csv": csvt([["date", "time", "cpu", "mem_used"]] + [[iso(T0+10*i, f="%Y%m%d"), iso(T0+10*i, f="%H%M%S"), a[i], int(5e8+1e6*a[i])] for i in range(N)])}, {"cpu": g(a.mean()), "mem_used": G}, every_s=10, start=T0)
# 6 tv_sec tv_usec
case("06_sec_usec", {"x.csv": csvt([["tv_sec", "tv_usec", "cpu", "irq_total"]] + [[T0+i//2, 500000*(i%2), a[i], b[i]] for i in range(N)])}, {"cpu": g(a.mean()), "irq_total": C}, every_s=.5, start=T0)
# 7 US am/pm
case("07_ampm", {"x.csv": csvt([["Sampled At", "CPU Usage", "Handles"]] + [[iso(T0+30*i, f="%m/%d/%Y %I:%M:%S %p"), a[i], int(1000+a[i]*3)] for i in range(N)])}, {"cpu_usage": g(a.mean()), "handles": G}, every_s=30, start=T0)
# 8 offsets that change, ISO T
ny = dt.timezone(dt.timedelta(hours=2)); ny2 = dt.timezone(dt.timedelta(hours=1)); s8 = 1_792_886_400 - 3600 # near 2026-10-25 00:00 UTC
s8 = int(dt.datetime(2026,10,25,0,0,tzinfo=UTC).timestamp())
case("08_offsets", {"x.csv": csvt([["when", "cpu", "ctx_switches_total"]] + [[dt.datetime.fromtimestamp(s8+60*i, ny if i < 60 else ny2).isoformat(), a[i], b[i]] for i in range(N)])}, {"cpu": g(a.mean()), "ctx_switches_total": C}, every_s=60, start=s8)
# 9 New York fall back, local without zone, two hosts
NY = ZoneInfo("America/New_York"); s9 = int(dt.datetime(2026,11,1,4,30,tzinfo=UTC).timestamp())
rows = [["local_time", "server", "cpu", "disk_io_total"]]
for i in range(N):
    for h in ("a1", "a2"): rows.append([iso(s9+60*i, NY), h, a[i] if h == "a1" else round(99-a[i],2), b[i]])
case("09_newyork", {"x.csv": csvt(rows)}, {"cpu": g(a.mean()), "disk_io_total": c(grow(b,60))}, hosts=("a1","a2"), episodes=2, every_s=60, start=s9, corrections=(UNLABELLED, (r'^zone = "[?]"', 'zone = "America/New_York"')))
# 10 elapsed ms
case("10_elapsed_ms", {"x.csv": csvt([["elapsed_ms", "cpu", "net_rx_bytes"]] + [[250*i, a[i], b[i]] for i in range(N)])}, {"cpu": g(a.mean()), "net_rx_bytes": C}, every_s=.25, start=T0, corrections=(UNLABELLED, (r'^start = "[?]"', f'start = "{iso(T0)}"')))
# 11 t in seconds
case("11_t", {"x.csv": csvt([["t", "u", "v"]] + [[f"{2*i:.3f}", a[i], round(50-a[i]/2,3)] for i in range(N)])}, {"u": g(a.mean()), "v": G}, every_s=2, start=T0, corrections=(UNLABELLED, (r'^start = "[?]"', f'start = "{iso(T0)}"')))
# 12 preamble key: value
case("12_preamble", {"log.csv": "Device: PM-200\nSerial: 44321\nFirmware: 1.2.3, build 7\nOperator: J. Doe, lab 2\nStart: 2026-10-16 12:00:00\n\n" + csvt([["Time","Power","Current"]] + [[iso(T0+5*i), a[i], round(a[i]/230,3)] for i in range(N)])}, {"power": g(a.mean()), "current": G}, every_s=5, start=T0)
# 13 units row in brackets
case("13_units", {"log.csv": csvt([["Time","Fan","Temp"],["[UTC]","[rpm]","[°C]"]] + [[iso(T0+5*i), int(1200+a[i]), a[i]] for i in range(N)], ";")}, {"fan": G, "temp": g(a.mean())}, every_s=5, start=T0)
# 14 repeated headers
rows = []
for i in range(N):
    if i % 40 == 0: rows.append(["time","us","sy","ctxt_total"])
    rows.append([T0+2*i, a[i], round(a[i]/4,2), b[i]])
case("14_repeat", {"vm.csv": csvt(rows)}, {"us": g(a.mean()), "sy": G, "ctxt_total": c(grow(b,2))}, every_s=2, start=T0)
# 15 JSON array pretty nested
objs = [{"observed": iso(T0+20*i, f="%Y-%m-%dT%H:%M:%SZ"), "machine": {"name": h, "os": "linux"}, "load": {"one": float(a[i]), "five": round(float(a[i])/2,2)}, "net": {"rx_bytes": int(b[i])}} for i in range(N) for h in ("k1","k2")]
case("15_jsonarray", {"dump.json": json.dumps(objs, indent=2)}, {"load_one": g(a.mean()), "load_five": G, "net_rx_bytes": c(grow(b,20))}, hosts=("k1","k2"), episodes=2, every_s=20, start=T0)
# 16 metricbeat ndjson in .log
lines = [json.dumps({"@timestamp": iso(T0+10*i, f="%Y-%m-%dT%H:%M:%S.000Z"), "host": {"name": h}, "agent": {"type": "metricbeat", "version": "8.1.0"}, "metricset": {"name": "cpu", "period": 10000}, "system": {"cpu": {"user": {"pct": float(a[i])}, "system": {"pct": round(float(a[i])/3,3)}, "cores": 4}}}) for i in range(N) for h in ("m1","m2")]
case("16_metricbeat", {"mb.log": "\n".join(lines)}, {"user_pct": g(a.mean()), "system_pct": G}, hosts=("m1","m2"), episodes=2, every_s=10, start=T0)
# 17 prometheus app metrics
def series(metric, vals, step=15): return {"metric": metric, "values": [[T0+step*i, str(v)] for i, v in enumerate(vals)]}
res = []
for h in ("10.1.0.4:8080", "10.1.0.5:8080"):
    for q, v in (("http_requests_total", b), ("queue_depth", a), ("process_resident_memory_bytes", (a*1e6).astype(int))):
        res.append(series({"__name__": q, "instance": h, "job": "shop"}, v))
case("17_prom_app", {"r.json": json.dumps({"status":"success","data":{"resultType":"matrix","result":res}})}, {"http_requests_total": c(grow(b,15)), "queue_depth": g(a.mean()), "process_resident_memory_bytes": G}, hosts=("10.1.0.4:8080","10.1.0.5:8080"), episodes=2, every_s=15, start=T0)
# 18 prometheus by pod
res = [series({"__name__":"container_cpu_usage_seconds_total","namespace":"prod","pod":p,"container":"app"}, np.cumsum(np.abs(a))) for p in ("web-7d9f-abc","web-7d9f-def")]+[series({"__name__":"container_memory_working_set_bytes","namespace":"prod","pod":p,"container":"app"}, (a*1e6).astype(int)) for p in ("web-7d9f-abc","web-7d9f-def")]
case("18_prom_pod", {"r.json": json.dumps({"status":"success","data":{"resultType":"matrix","result":res}})}, {"container_cpu_usage_seconds_total": C, "container_memory_working_set_bytes": G}, hosts=("web-7d9f-abc","web-7d9f-def"), episodes=2, every_s=15, start=T0, options=(("--host","pod"),))
# 19 OTLP two hosts
def otlp(h, i):
    t = str((T0+30*i)*10**9)
    return json.dumps({"resourceMetrics":[{"resource":{"attributes":[{"key":"host.name","value":{"stringValue":h}}]},"scopeMetrics":[{"metrics":[
      {"name":"system.network.io","unit":"By","sum":{"aggregationTemporality":2,"isMonotonic":True,"dataPoints":[{"asInt":str(int(b[i])),"timeUnixNano":t,"attributes":[{"key":"direction","value":{"stringValue":"receive"}}]}]}},
      {"name":"system.memory.utilization","gauge":{"dataPoints":[{"asDouble":float(a[i]),"timeUnixNano":t}]}}]}]}]})
case("19_otlp", {"m.json": "\n".join(otlp(h,i) for i in range(N) for h in ("o1","o2"))}, {"network.*": c(grow(b,30)), "memory.*": g(a.mean())}, hosts=("o1","o2"), episodes=2, every_s=30, start=T0)
# 20 zeek json in .log
r = rng("zeek"); lines=[]; ob=0
for i in range(600):
    o = int(r.integers(50,5000)); ob += o
    lines.append(json.dumps({"ts": T0+round(float(i*1.3+r.uniform(0,1)),6), "uid": f"C{i:08x}", "id.orig_h": f"10.0.0.{i%5}", "id.orig_p": int(r.integers(1024,65000)), "id.resp_h":"1.1.1.1","id.resp_p":443,"proto":"tcp","duration":round(float(r.uniform(0,3)),3),"orig_bytes":o,"resp_bytes":int(r.integers(50,90000)),"orig_pkts":int(r.integers(1,30)),"resp_pkts":int(r.integers(1,30)),"conn_state":"SF"}))
case("20_zeekjson", {"conn.log": "\n".join(lines)}, {"orig_bytes": Channel("event", total=ob), "resp_bytes": E, r"[.]rows$": Channel("event", total=600)}, rows=0, start=T0, within_s=60, allowed="duration|pkts|orig_ip_bytes")
# 21 zeek dns tsv, numeric columns trans_id, rtt, qtype
head = "#separator \\x09\n#set_separator\t,\n#empty_field\t(empty)\n#unset_field\t-\n#path\tdns\n#open\t2026-10-16-12-00-00\n#fields\tts\tuid\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p\tproto\ttrans_id\trtt\tquery\tqclass\tqtype\tqtype_name\trcode\n#types\ttime\tstring\taddr\tport\taddr\tport\tenum\tcount\tinterval\tstring\tcount\tcount\tstring\tcount\n"
body = "".join(f"{T0+i*1.7+float(r.uniform(0,1)):.6f}\tC{i}\t10.0.0.{i%7}\t{r.integers(1024,60000)}\t8.8.8.8\t53\tudp\t{r.integers(0,65535)}\t{r.uniform(0,.2):.4f}\texample{i%9}.com\t1\t{[1,28,16][i%3]}\t{['A','AAAA','TXT'][i%3]}\t0\n" for i in range(600))
case("21_zeekdns", {"dns.log": head+body+"#close\t2026-10-16-12-30-00\n"}, {r"[.]rows$": Channel("event", total=600)}, rows=0, start=T0, within_s=60, allowed=r"[.](a|aaaa|txt)$|qtype_name")
# 22 UTF-16 tab
case("22_utf16", {"x.txt": csvt([["Uhrzeit der Messung","Prozessorzeit (%)","Verfügbar (MB)"]]+[[iso(T0+10*i), str(a[i]).replace(".",","), int(4000-a[i]*10)] for i in range(N)],"\t","\r\n").encode("utf-16")}, {"prozessorzeit.*": g(a.mean()), "verf.*": G}, every_s=10, start=T0, options=(("--time","Uhrzeit der Messung"),))
# 23 zip of members, host by name, label column; with README
z = io.BytesIO()
with zipfile.ZipFile(z,"w") as f:
    f.writestr("README.txt","Recorded in the lab.\nTwo machines.\n")
    for h in ("lab-1","lab-2","lab-3"): f.writestr(f"data/{h}.csv", csvt([["time","cpu","rx_packets_total","attack"]]+[[T0+5*i,a[i],b[i],int(m[i])] for i in range(N)]))
case("23_zip", {"set.zip": z.getvalue()}, {"cpu": g(a.mean()), "rx_packets_total": c(grow(b,5))}, hosts=("lab-1","lab-2","lab-3"), episodes=3, every_s=5, start=T0, hostile=1/3, source="set.zip", exit=0)
# 24 zst + xz mixed in a folder
p = csvt([["time","host","cpu","label"]]+[[T0+5*i,"q1",a[i],"mal" if m[i] else "benign"] for i in range(N)])
p2 = p.replace("q1","q2")
zst = pa.compress(p.encode(), "zstd", asbytes=True)
case("24_zst_xz", {"one.csv.zst": zst, "two.csv.xz": lzma.compress(p2.encode())}, {"cpu": g(a.mean())}, hosts=("q1","q2"), episodes=2, every_s=5, start=T0, hostile=1/3)
# 25 long form
rows=[["time","node","metric","value"]]
for i in range(N):
    for h in ("n1","n2"):
        for q,v in (("cpu.user",a[i]),("net.rx_bytes",b[i]),("mem.free",int(1e9+1e6*a[i]))): rows.append([T0+10*i,h,q,v])
case("25_long", {"m.csv": csvt(rows)}, {"cpu_user": g(a.mean()), "net_rx_bytes": c(grow(b,10)), "mem_free": G}, hosts=("n1","n2"), episodes=2, every_s=10, start=T0)
# 26 long: tag, reading; device = machine
rows=[["sampled_at","device_id","sensor","reading"]]
for i in range(N):
    for h in ("pump-7","pump-9"):
        for q,v in (("temperature",a[i]),("vibration",round(a[i]/50,4)),("pressure",round(1+a[i]/100,3))): rows.append([iso(T0+60*i),h,q,v])
case("26_long_sensor", {"m.csv": csvt(rows)}, {"temperature": g(a.mean()), "vibration": G, "pressure": G}, hosts=("pump-7","pump-9"), episodes=2, every_s=60, start=T0, options=(("--host","device_id"),))
# 27 Zabbix
rows=[["itemid","clock","value","ns"]]
for i in range(N):
    for q,v in ((23301,a[i]),(23302,b[i])): rows.append([q,T0+60*i,v,int(1e8)+i])
case("27_zabbix", {"h.csv": csvt(rows)}, {"23301": g(a.mean()), "23302": c(grow(b,60))}, every_s=60, start=T0, options=(("--quantity","itemid"),), corrections=(UNLABELLED,(r'"23302", "1", "\?"','["23302","1","counter","x"],')))
# 28 host files flat, same time, prefix and date
files = {f"metrics_{h}_20261016.csv": csvt([["time","cpu","rx_bytes"]]+[[T0+10*i,a[i] if h=="web1" else round(100-a[i],2),b[i]] for i in range(N)]) for h in ("web1","db1")}
case("28_prefix", files, {"cpu": G, "rx_bytes": C}, episodes=2, every_s=10, start=T0, hosts=("metrics_web1","metrics_db1"), corrections=(UNLABELLED,))
# 29 folder per host, day files
files={}
for h in ("edge-a","edge-b"):
    for dd in range(2):
        files[f"{h}/2026-10-{16+dd}.csv"] = csvt([["time","cpu","rx_bytes"]]+[[T0+86400*dd+10*i,a[i],b[i]+10**6*dd] for i in range(N)])
case("29_hostfolders", files, {"cpu": g(a.mean()), "rx_bytes": c(grow(b,10))}, episodes=4, every_s=10, start=T0, hosts=("edge-a","edge-b"))
# 30 labels file
lab = csvt([["host","begin","finish","behaviour"],["s1",iso(T0+400),iso(T0+800),"exfil"],["s2",iso(T0+800),iso(T0+1200),"scan"]])
rows=[["time","host","cpu","tx"]]+[[iso(T0+5*i),h,a[i],b[i]] for i in range(N) for h in ("s1","s2")]
case("30_labelsfile", {"telemetry.csv": csvt(rows), "truth.csv": lab}, {"cpu": G, "tx": C}, hosts=("s1","s2"), episodes=2, every_s=5, start=T0, hostile=1/3)
# 31 begin,duration
lab = csvt([["begin","duration_s","type"],[T0+400,400,"miner"]])
case("31_duration", {"telemetry.csv": csvt([["time","cpu","tx"]]+[[T0+5*i,a[i],b[i]] for i in range(N)]), "incidents.csv": lab}, {"cpu": G, "tx": C}, every_s=5, start=T0, hostile=1/3)
# 32 labels as marks: time,phase (state holds until next)
lab = csvt([["time","phase"],[T0,"benign"],[T0+400,"exfiltration"],[T0+800,"benign"]])
case("32_marks", {"telemetry.csv": csvt([["time","cpu","tx"]]+[[T0+5*i,a[i],b[i]] for i in range(N)]), "phases.csv": lab}, {"cpu": G, "tx": C}, every_s=5, start=T0, hostile=1/3)
# 33 15 days, 10 min
n=15*144; aa=walk(rng("33"),n); bb=tot(rng("33b"),n)
case("33_15days", {"x.csv": csvt([["time","host","cpu","rx_bytes_total"]]+[[T0+600*i,"w",aa[i],bb[i]] for i in range(n)])}, {"cpu": G, "rx_bytes_total": C}, rows=0, all_rows=n, hosts=("w",), episodes=16, every_s=600, start=T0)
# 34 sentinels
aa=a.copy(); miss=[i for i in range(N) if i%17==3]; known=np.array([x for i,x in enumerate(aa) if i%17!=3])
case("34_sentinel", {"x.csv": csvt([["time","temp","level"]]+[[T0+10*i,"-9999" if i%17==3 else a[i], "" if i%11==0 else round(a[i]*2,2)] for i in range(N)])}, {"temp": g(known.mean(), len(miss)), "level": G}, every_s=10, start=T0)
# 35 words for nothing
words_=["NULL","n/a","--","#N/A","nan"]
case("35_words", {"x.csv": csvt([["time","temp","level"]]+[[T0+10*i, words_[i%5] if i%17==3 else a[i], round(a[i]*2,2)] for i in range(N)])}, {"temp": g(known.mean(), len(miss)), "level": G}, every_s=10, start=T0)
# 36 jittered interleaved hosts, unknown column "probe"
r=rng("36"); ev=[]
for h in ("north","south","east"):
    for i in range(N): ev.append((T0+5*i+float(r.uniform(-.3,.3))+{"north":1,"south":2.2,"east":3.7}[h],h,a[i],b[i]))
ev.sort()
case("36_probe", {"x.csv": csvt([["ts","probe","latency_ms","packets_total"]]+[[f"{t:.3f}",h,x,y] for t,h,x,y in ev])}, {"latency_ms": g(a.mean()), "packets_total": C}, hosts=("north","south","east"), episodes=3, start=min(e[0] for e in ev if e[1]=="north"), within_s=6, options=(("--host","probe"),))
# 37 sequential hosts numeric id, node_id
rows=[["time","node_id","cpu","bytes_sent"]]
for h in (17,23,40):
    for i in range(N): rows.append([T0+10*i,h,a[i],b[i]])
case("37_node_id", {"x.csv": csvt(rows)}, {"cpu": g(a.mean()), "bytes_sent": c(grow(b,10))}, hosts=("17","23","40"), episodes=3, every_s=10, start=T0)
# 38 numeric host named "unit"
rows=[["time","unit","cpu","bytes_sent"]]
for i in range(N):
    for h in (101,102): rows.append([T0+10*i,h,a[i],b[i]])
case("38_unit", {"x.csv": csvt(rows)}, {"cpu": g(a.mean()), "bytes_sent": c(grow(b,10))}, hosts=("101","102"), episodes=2, every_s=10, start=T0, options=(("--host","unit"),))
# 39 resets
bb=np.concatenate([tot(rng("39"),80),tot(rng("39b"),80,0),tot(rng("39c"),80,0)])
case("39_resets", {"x.csv": csvt([["time","host","rx_bytes","uptime"]]+[[T0+10*i,"r",bb[i],(i%80)*10] for i in range(N)])}, {"rx_bytes": C}, hosts=("r",), every_s=10, start=T0, allowed="uptime")
# 40 32-bit wraps
bb=np.mod(np.cumsum(rng("40").integers(2*10**8,4*10**8,N)),2**32)
case("40_wrap", {"x.csv": csvt([["time","host","ifHCInOctets","ifInOctets","cpu"]]+[[T0+30*i,"sw1",b[i],bb[i],a[i]] for i in range(N)])}, {"ifhcinoctets": C, "ifinoctets": C, "cpu": G}, hosts=("sw1",), every_s=30, start=T0, corrections=(UNLABELLED,(r'"ifinoctets", "B", "\?"','["ifinoctets","B","counter","x"],')))
# 41 label-like: is_malicious + attack_cat
case("41_two_labels", {"x.csv": csvt([["time","cpu","is_malicious","attack_cat"]]+[[T0+5*i,a[i],int(m[i]),["","dos","probe"][(1+(i>120)) if m[i] else 0] or "normal"] for i in range(N)])}, {"cpu": g(a.mean())}, every_s=5, start=T0, hostile=1/3)
# 42 gt, y_pred, score, alarm
case("42_predictions", {"x.csv": csvt([["time","cpu","y_true","y_pred","anomaly_score"]]+[[T0+5*i,a[i],int(m[i]),int(m[i]),round(.9*m[i]+.01*(i%7),3)] for i in range(N)])}, {"cpu": g(a.mean())}, every_s=5, start=T0, hostile=1/3)
# 43 event log with sessions
r=rng("43"); t=T0; rows=[["timestamp","session_id","src_port","dst_port","bytes_in","bytes_out","duration_ms","action"]]; tb=0
for i in range(700):
    t+=float(r.exponential(2)); bi=int(r.integers(10,9000)); tb+=bi
    rows.append([f"{t:.3f}",int(r.integers(1,99999)),int(r.integers(1024,65000)),[22,80,443][i%3],bi,int(r.integers(10,9000)),int(r.integers(1,900)),["allow","deny"][i%5==0]])
case("43_firewall", {"fw.csv": csvt(rows)}, {"bytes_in": Channel("event",total=tb), "bytes_out": E, "rows": Channel("event",total=700)}, rows=0, start=T0, within_s=60, allowed="duration_ms|action|allow|deny", hostile=0)
# 44 bytes near 1.7e9
case("44_bytes_epoch", {"x.csv": csvt([["mem_free","disk_free","t","cpu"]]+[[int(1.69e9+1e5*a[i]),int(1.75e9-1000*i),T0+5*i,a[i]] for i in range(N)])}, {"mem_free": G, "disk_free": G, "cpu": g(a.mean())}, every_s=5, start=T0, options=(("--time","t"),), corrections=(UNLABELLED,))
# 45 only such columns, unnamed clock "a"
case("45_clockless", {"x.csv": csvt([["a","b","c"]]+[[int(1.69e9+1e5*a[i]),T0+5*i,a[i]] for i in range(N)])}, {r"[.]a$": G, r"[.]c$": g(a.mean())}, every_s=5, start=T0, options=(("--time","b"),))
# 46 no header epoch,host,cpu,rx
rows=[[T0+10*i,h,a[i],b[i]] for i in range(N) for h in ("p1","p2")]
case("46_noheader", {"x.csv": csvt(rows)}, {"column_3": g(a.mean()), "column_4": c(grow(b,10))}, hosts=("p1","p2"), episodes=2, every_s=10, start=T0, options=(("--time","column_1"),("--host","column_2")), corrections=(UNLABELLED,(r'"column_4", "1", "\?"','["column_4","1","counter","x"],')))
# 47 no header iso
case("47_noheader_iso", {"x.csv": csvt([[iso(T0+10*i),a[i],round(a[i]/3,2)] for i in range(N)])}, {"column_2": g(a.mean()), "column_3": G}, every_s=10, start=T0)
# 48 auth log csv
r=rng("48"); t=T0; rows=[["date","hostname","program","pid","message"]]
for i in range(500):
    t+=float(r.exponential(5)); rows.append([iso(t),["gw1","gw2"][i%2],["sshd","sudo","cron"][i%3],int(r.integers(300,9999)),f'"session {i%4} opened for user u{i%6}"'])
case("48_authlog", {"auth.csv": csvt(rows)}, {r"[.]rows": E}, hosts=("gw1","gw2"), episodes=2, rows=0, start=T0, within_s=400, allowed="sshd|sudo|cron|session_", options=(("--rows","events"),))
# 49 nfdump
r=rng("49"); t=T0; rows=[["ts","te","td","sa","da","sp","dp","pr","flg","ipkt","ibyt"]]; tb=0
for i in range(600):
    t+=float(r.exponential(1)); by=int(r.integers(40,40000)); tb+=by
    rows.append([iso(t),iso(t+3),round(float(r.uniform(0,9)),3),f"10.0.0.{i%9}","8.8.4.4",int(r.integers(1024,60000)),443,"TCP",".AP.SF",int(r.integers(1,60)),by])
case("49_nfdump", {"nf.csv": csvt(rows)}, {"ibyt": Channel("event",total=tb), "ipkt": E, "rows": Channel("event",total=600)}, rows=0, start=T0, within_s=60, allowed="td")
# 50 AWS VPC flow logs
r=rng("50"); rows=[["version","account-id","interface-id","srcaddr","dstaddr","srcport","dstport","protocol","packets","bytes","start","end","action","log-status"]]; t=T0; tb=0
for i in range(600):
    t+=int(r.integers(0,4)); by=int(r.integers(40,40000)); tb+=by
    rows.append([2,123456789010,"eni-1235b8ca",f"10.0.0.{i%9}","8.8.4.4",int(r.integers(1024,60000)),443,6,int(r.integers(1,60)),by,t,t+int(r.integers(1,59)),["ACCEPT","REJECT"][i%9==0],"OK"])
case("50_vpcflow", {"flow.log": csvt(rows," ")}, {"bytes": Channel("event",total=tb), "packets": E, "rows": Channel("event",total=600)}, rows=0, start=T0, within_s=60, allowed="duration")
# 51 sep= line
case("51_sepline", {"x.csv": "sep=;\r\n"+csvt([["time","cpu","rx"]]+[[iso(T0+10*i),str(a[i]).replace(".",","),b[i]] for i in range(N)],";","\r\n")}, {"cpu": g(a.mean()), "rx": C}, every_s=10, start=T0)
# 52 psql aligned
body="\n".join(f" {iso(T0+10*i)} | db1  | {a[i]:6.2f} | {b[i]}" for i in range(N))
case("52_psql", {"out.txt": "        time         | host | cpu    |   rx\n---------------------+------+--------+-------\n"+body+f"\n({N} rows)\n"}, {"cpu": g(a.mean()), "rx": C}, hosts=("db1",), every_s=10, start=T0)
# 53 mysql borders
ln="+---------------------+------+-------+-------+\n"
case("53_mysql", {"out.txt": ln+"| time                | host | cpu   | rx    |\n"+ln+"".join(f"| {iso(T0+10*i)} | db1  | {a[i]:5.2f} | {b[i]} |\n" for i in range(N))+ln+f"{N} rows in set (0.00 sec)\n"}, {"cpu": g(a.mean()), "rx": C}, hosts=("db1",), every_s=10, start=T0)
# 54 Swiss thousands, percent
def swiss(x): return f"{x:,.1f}".replace(",","'")
case("54_swiss", {"x.csv": csvt([["time","cpu","memory"]]+[[iso(T0+10*i),f"{a[i]}%",swiss(1000+a[i]*100)] for i in range(N)],";")}, {"cpu": g(a.mean()), "memory": g((1000+a*100).round(1).mean())}, every_s=10, start=T0)
# 55 nbsp thousands french
def fr(x): return f"{x:,.1f}".replace(",","\u202f").replace(".",",")
case("55_french", {"x.csv": csvt([["Horodatage","Charge","Mémoire libre"]]+[[iso(T0+10*i,f="%d/%m/%Y %H:%M:%S"),str(a[i]).replace(".",","),fr(1000+a[i]*100)] for i in range(N)],";")}, {"charge": g(a.mean()), "m.*libre": g((1000+a*100).round(1).mean())}, every_s=10, start=T0, options=(("--time","Horodatage"),))
# 56 duplicates and descending
rows=[[iso(T0+10*i),a[i],b[i]] for i in range(N)]; rows=[x for y in rows for x in (y,y)][::-1]
case("56_dup_desc", {"x.csv": csvt([["time","cpu","rx_bytes"]]+rows)}, {"cpu": g(a.mean()), "rx_bytes": c(grow(b,10))}, every_s=10, start=T0)
# 57 us epoch column "stamp"
case("57_stamp_us", {"x.csv": csvt([["stamp","cpu","rx_bytes"]]+[[(T0+10*i)*10**6,a[i],b[i]] for i in range(N)])}, {"cpu": g(a.mean()), "rx_bytes": C}, every_s=10, start=T0, options=(("--time","stamp"),))
# 58 per core
rows=[["time","core","util","freq_mhz"]]
for i in range(N):
    for k in range(4): rows.append([T0+5*i,k,round(a[i]*(k+1)/4,2),2000+k*100+int(a[i])])
case("58_core", {"x.csv": csvt(rows)}, {**{f"{k}_util": G for k in range(4)}, **{f"{k}_freq_mhz": G for k in range(4)}}, every_s=5, start=T0)
# 59 Average footer
case("59_average", {"x.csv": csvt([["time","%user","%system","runq-sz"]]+[[iso(T0+10*i,f="%Y-%m-%d %H:%M:%S"),a[i],round(a[i]/5,2),int(a[i]/10)] for i in range(N)]+[["Average:",round(a.mean(),2),1,2]])}, {"user": g(a.mean()), "system": G, "runq.*": G}, every_s=10, start=T0)
# 60 file names as class
files={f"{w}_{k}.csv": csvt([["time","cpu","rx_bytes_total"]]+[[T0+5*i+5000*(2*k+j),a[i],b[i]] for i in range(N)]) for j,w in enumerate(("normal","mining")) for k in range(2)}
case("60_fileclass", files, {"cpu": g(a.mean()), "rx_bytes_total": C}, episodes=4, every_s=5, start=T0, hostile=.5)
# 61 folder = class, file = host
files={f"{w}/{h}.csv": csvt([["time","cpu","rx_bytes_total"]]+[[T0+5*i+5000*j,a[i],b[i]] for i in range(N)]) for j,w in enumerate(("benign","ddos")) for h in ("cam1","cam2")}
case("61_folderclass", files, {"cpu": g(a.mean()), "rx_bytes_total": C}, hosts=("cam1","cam2"), episodes=4, every_s=5, start=T0, hostile=.5)
# 62 ids in samples
case("62_ids", {"x.csv": csvt([["id","time","pid","cpu","mem_rss","priority"]]+[[1000+3*i,T0+5*i,4211,a[i],int(2e6+1e3*a[i]),20] for i in range(N)])}, {"cpu": g(a.mean()), "mem_rss": G}, every_s=5, start=T0)
# 63 mixed dialects in a folder
case("63_mixed", {"a.csv": csvt([["time","host","cpu"]]+[[iso(T0+10*i),"a",a[i]] for i in range(N)]), "b.csv": csvt([["time","host","cpu"]]+[[iso(T0+10*i),"b",a[i]] for i in range(N)],";")}, {"cpu": g(a.mean())}, hosts=("a","b"), episodes=2, every_s=10, start=T0)
# 64 one bad of four (truncated gz)
files={f"{h}.csv.gz": gzip.compress(csvt([["time","host","cpu","label"]]+[[T0+5*i,h,a[i],"dos" if m[i] else "normal"] for i in range(N)]).encode()) for h in ("a","b","c","d")}
files["c.csv.gz"]=files["c.csv.gz"][:900]
case("64_truncated", files, {"cpu": g(a.mean())}, hosts=("a","b","d"), episodes=3, every_s=5, start=T0, hostile=1/3, exit=3)
# 65 truncated among hosts without label col and host in names -> must ask
files={f"{h}.csv.gz": gzip.compress(csvt([["time","cpu","rx_bytes"]]+[[T0+5*i,a[i],b[i]] for i in range(N)]).encode()) for h in ("ok","normal-pc","t")}
files["t.csv.gz"]=files["t.csv.gz"][:900]
case("65_trunc_names", files, {"cpu": g(a.mean()), "rx_bytes": C}, hosts=("ok","normal-pc"), episodes=2, every_s=5, start=T0, exit=3)

# ---------------------------------------------------------------- set 2

SET = 2
N = 240
r = rng("two"); a, b = walk(r, N), tot(r, N); a2 = np.round(100-a, 2); b2 = tot(r, N, rate=40); m = mid(N)
A = {"h1": (a,b), "h2": (a2,b2)}
def per(hosts): return {h: (a,b) if i % 2 == 0 else (a2,b2) for i,h in enumerate(hosts)}
def tab(hosts, col, t=lambda i: T0+10*i): 
    rows=[["time",col,"cpu","rx_bytes_total"]]
    for i in range(N):
        for h,(x,y) in per(hosts).items(): rows.append([t(i),h,x[i],y[i]])
    return csvt(rows)
two_ch = {"cpu": G, "rx_bytes_total": C}
case("01_bay", {"x.csv": tab((1,2,3),"bay")}, two_ch, hosts=("1","2","3"), episodes=3, every_s=10, start=T0, options=(("--host","bay"),))
case("02_source", {"x.csv": tab(("web","db"),"source")}, two_ch, hosts=("web","db"), episodes=2, every_s=10, start=T0, options=(("--host","source"),))
case("03_location", {"x.csv": tab(("Kitchen","Hall"),"location")}, two_ch, hosts=("Kitchen","Hall"), episodes=2, every_s=10, start=T0, options=(("--host","location"),))
rows=[["time","web1_cpu","web1_rx_bytes","web2_cpu","web2_rx_bytes"]]+[[T0+10*i,a[i],b[i],a2[i],b2[i]] for i in range(N)]
case("04_wide", {"x.csv": csvt(rows)}, two_ch, hosts=("web1","web2"), episodes=2)
def gr(t, v): return {"target": t, "tags": {"name": t}, "datapoints": [[None if i==7 else float(x), T0+60*i] for i,x in enumerate(v)]}
case("05_graphite", {"render.json": json.dumps([gr("servers.web1.cpu.load",a),gr("servers.web1.net.rx_bytes",b),gr("servers.web2.cpu.load",a2),gr("servers.web2.net.rx_bytes",b2)])}, {"cpu_load": G, "net_rx_bytes": C}, hosts=("web1","web2"), episodes=2, every_s=60, start=T0, options=(("--host","part_1"),))
case("06_graphite_one", {"render.json": json.dumps([gr("collectd.box.cpu.user",a),gr("collectd.box.memory.used",a2*1e6)])}, {"cpu_user": G, "memory_used": G}, episodes=1, every_s=60, start=T0)
def cw(l,v): return {"Id":"m","Label":l,"Timestamps":[iso(T0+300*i,f="%Y-%m-%dT%H:%M:%S+00:00") for i in range(N)][::-1],"Values":[float(x) for x in v][::-1],"StatusCode":"Complete"}
case("07_cloudwatch", {"m.json": json.dumps({"MetricDataResults":[cw("CPUUtilization",a),cw("NetworkIn",b2*7)],"Messages":[]},indent=1)}, {"cpuutilization": g(a.mean()), "networkin": Channel("gauge|counter")}, episodes=1, every_s=300, start=T0, corrections=(UNLABELLED,(r'"networkin".*"\?"','["networkin","1","gauge","x"],')))
case("08_cloudwatch_hosts", {"m.json": json.dumps({"MetricDataResults":[cw("i-0123456789abcdef0 CPUUtilization",a),cw("i-0123456789abcdef0 NetworkIn",a2*7),cw("i-0fedcba9876543210 CPUUtilization",a2),cw("i-0fedcba9876543210 NetworkIn",a*7)]})}, {"cpu": G, "networkin": G}, hosts=("i-0123456789abcdef0","i-0fedcba9876543210"), episodes=2)
case("09_cw_stats", {"m.json": json.dumps({"Label":"CPUUtilization","Datapoints":[{"Timestamp":iso(T0+300*i,f="%Y-%m-%dT%H:%M:%SZ"),"Average":float(a[i]),"Maximum":float(a[i])+3+i%2,"Unit":"Percent"} for i in np.random.default_rng(0).permutation(N)]})}, {"average": g(a.mean()), "maximum": G}, episodes=1, every_s=300, start=T0)
def sj(i): return {"timestamp":{"date":iso(T0+10*i,f="%Y-%m-%d"),"time":iso(T0+10*i,f="%H:%M:%S"),"utc":1,"interval":10},"cpu-load":[{"cpu":"all","user":float(a[i]),"nice":0.0,"system":float(a2[i])/9,"idle":float(100-a[i])}],"queue":{"runq-sz":int(a[i]/20),"ldavg-1":float(a2[i])/30},"network":{"net-dev":[{"iface":"lo","rxkB":0.0},{"iface":"eth0","rxkB":float(a2[i])*3}]}}
case("10_sadf_j", {"sa.json": json.dumps({"sysstat":{"sysdata-version":2.15,"hosts":[{"nodename":"web1","sysname":"Linux","statistics":[sj(i) for i in range(N)],"restarts":[]}]}},indent=1)}, {r"all_user": g(a.mean()), r"all_system": G, r"all_idle": G, "runq_sz": G, "ldavg_1": G, "eth0_rxkb": G}, hosts=("web1",), every_s=10, start=T0)
case("11_xport", {"x.json": json.dumps({"about":"RRDtool graph JSON output","meta":{"start":T0,"end":T0+300*N,"step":300,"legend":["cpu","load"]},"data":[[float(a[i]),float(a2[i])/50] for i in range(N)]})}, {"cpu": g(a.mean()), "load": G}, every_s=300, start=T0)
case("12_ambiguous_comma", {"x.csv": csvt([["time","watts","volts"]]+[[iso(T0+10*i),f"{a[i]/9:.3f}".replace(".",","),f"{200+a[i]/9:.3f}".replace(".",",")] for i in range(N)],";")}, {"watts": g(np.round(a/9,3).mean()), "volts": G}, every_s=10, start=T0, corrections=(UNLABELLED,(r'^decimal = "\?"','decimal = ","')))
case("13_epoch_ms_float", {"x.csv": csvt([["ts","cpu","rx"]]+[[f"{(T0+10*i)*1000}.125",a[i],b[i]] for i in range(N)])}, {"cpu": g(a.mean()), "rx": C}, every_s=10, start=T0+.000125)
case("14_ambiguous_date", {"x.csv": csvt([["time","cpu","mem_used"]]+[[iso(T0-11*86400+10*i,f="%m/%d/%Y %H:%M:%S"),a[i],a2[i]] for i in range(N)])}, {"cpu": g(a.mean()), "mem_used": G}, every_s=10, start=T0-11*86400, corrections=(UNLABELLED,(r'^format = "\?"','format = "%m/%d/%Y %H:%M:%S"')))
case("15_halfday", {"x.csv": csvt([["time","cpu","mem_used"]]+[[iso(T0+3000+10*i*6,f="%Y-%m-%d %I:%M:%S"),a[i],a2[i]] for i in range(N)])}, {"cpu": g(a.mean()), "mem_used": G}, every_s=60, start=T0+3000)
lab=csvt([["host","start","end","label"],["web1",iso(T0+400),iso(T0+1000),"scan"],["db1.example.com",iso(T0+400),iso(T0+1000),"exfil"]])
case("16_fqdn_labels", {"t.csv": tab(("web1.example.com","db1.example.com"),"host"), "labels.csv": lab}, two_ch, hosts=("web1.example.com","db1.example.com"), episodes=2, every_s=10, start=T0, hostile=600/2400)
case("17_arrays", {"x.jsonl": "\n".join(json.dumps({"ts":T0+10*i,"host":"k","cpu":float(a[i]),"cores":[float(a[i]),float(a2[i])]}) for i in range(N))}, {"cpu": g(a.mean())}, hosts=("k",), every_s=10, start=T0, allowed="cores")
case("18_percent_json", {"x.jsonl": "\n".join(json.dumps({"time":iso(T0+10*i),"name":h,"cpu":f"{x[i]}%","mem":f"{x[i]*3:.1f}MiB"}) for i in range(N) for h,(x,_) in A.items())}, {"cpu": G, "mem": G}, hosts=("h1","h2"), episodes=2, every_s=10, start=T0, options=(("--host","name"),))
case("19_sparse_json", {"x.jsonl": "\n".join(json.dumps({"time":iso(T0+10*i),"host":"h","cpu":float(a[i])} | ({"temp":float(a2[i])} if i%3==0 else {})) for i in range(N))}, {"cpu": g(a.mean()), "temp": Channel("gauge")}, hosts=("h",), every_s=10, start=T0)
case("20_keyed_time", {"x.json": json.dumps({iso(T0+10*i,f="%Y-%m-%dT%H:%M:%SZ"): {"cpu": float(a[i]), "rx": int(b[i])} for i in range(N)})}, {"cpu": g(a.mean()), "rx": C}, every_s=10, start=T0)
case("21_keyed_host", {"x.json": json.dumps({h: [{"time":T0+10*i,"cpu":float(x[i]),"rx_bytes":int(y[i])} for i in range(N)] for h,(x,y) in A.items()})}, {"cpu": G, "rx_bytes": C}, hosts=("h1","h2"), episodes=2, every_s=10, start=T0)
n=25000; al=walk(rng("long"),n)
case("22_late_host", {"x.csv": csvt([["time","probe","cpu"]]+[[T0+i+k*n,h,al[i]] for k,h in enumerate(("p1","p2")) for i in range(n)])}, {"cpu": G}, hosts=("p1","p2"), episodes=2, rows=n, every_s=1, start=T0, options=(("--host","probe"),))
case("23_minus_one", {"x.csv": csvt([["time","cpu","Label"]]+[[T0+10*i,a[i],-1 if m[i] else 1] for i in range(N)])}, {"cpu": g(a.mean())}, every_s=10, start=T0, hostile=1/3, phases={"benign":"^1$","hostile":"-1"}, corrections=((r'^classes = ','classes = ["1", "-1"]'),))
case("24_empty_benign", {"x.csv": csvt([["time","cpu","attack"]]+[[T0+10*i,a[i],"ddos" if m[i] else ""] for i in range(N)])}, {"cpu": g(a.mean())}, every_s=10, start=T0, hostile=1/3)
case("25_label_blanks", {"x.csv": csvt([["time","cpu","class"]]+[[T0+10*i,a[i],["mining"," mining"][i%2] if m[i] else ["normal","normal "][i%2]] for i in range(N)])}, {"cpu": g(a.mean())}, every_s=10, start=T0, hostile=1/3)
case("26_sci", {"x.csv": csvt([["time","cpu","rx_bytes_total"]]+[[T0+10*i,f"{a[i]:.6E}",f"{float(b[i]):.6E}"] for i in range(N)])}, {"cpu": g(a.mean()), "rx_bytes_total": c(grow(b,10))}, every_s=10, start=T0)
case("27_comma_fraction", {"x.csv": csvt([["time","cpu","rx_bytes_total"]]+[[f'"{iso(T0+10*i)},250"',a[i],b[i]] for i in range(N)])}, {"cpu": g(a.mean()), "rx_bytes_total": C}, every_s=10, start=T0+.25)
case("28_quoted", {"x.csv": csvt([['"time"','"msg"','"cpu"','"rx_bytes"']]+[[f'"{iso(T0+10*i)}"',f'"a, b\nc ""{i%5}"" d"',f'"{a[i]}"',f'"{b[i]}"'] for i in range(N)],nl="\r\n")}, {"cpu": g(a.mean()), "rx_bytes": C}, every_s=10, start=T0)
case("29_quoted_comma", {"x.csv": csvt([['"Zeit"','"Last"','"Netz"']]+[[f'"{iso(T0+10*i,f="%d.%m.%Y %H:%M:%S")}"',f'"{str(a[i]).replace(".",",")}"',f'"{str(a2[i]).replace(".",",")}"'] for i in range(N)])}, {"last": g(a.mean()), "netz": G}, every_s=10, start=T0, options=(("--time","Zeit"),))
case("30_bom_hash", {"x.csv": ("\ufeff#time;cpu;rx_bytes\n"+csvt([[T0+10*i,a[i],b[i]] for i in range(N)],";")).encode()}, {"cpu": g(a.mean()), "rx_bytes": C}, every_s=10, start=T0)
case("31_oldmac", {"x.csv": csvt([["time","cpu","rx_bytes"]]+[[T0+10*i,a[i],b[i]] for i in range(N)],nl="\r")}, {"cpu": g(a.mean()), "rx_bytes": C}, every_s=10, start=T0)
files={f"2026-10-{16+d}/{h}.csv": csvt([["time","cpu","rx_bytes"]]+[[T0+86400*d+10*i,x[i],y[i]+10**7*d] for i in range(N)]) for d in range(2) for h,(x,y) in per(("web1","db1")).items()}
case("32_datefolders", files, {"cpu": G, "rx_bytes": C}, hosts=("web1","db1"), episodes=4, every_s=10, start=T0)
files={f"{h}/{q}.csv": csvt([["time","value"]]+[[T0+10*i,v[i]] for i in range(N)]) for h,(x,y) in A.items() for q,v in (("cpu",x),("rx_bytes",y))}
case("33_host_metric", files, {"cpu": G, "rx_bytes": C}, hosts=("h1","h2"), episodes=2, every_s=10, start=T0)
files={f"{q}.csv": csvt([["time","host","value"]]+[[T0+10*i,h,A[h][k][i]] for i in range(N) for h in A]) for k,q in enumerate(("cpu","rx_bytes"))}
case("34_metricfiles_host", files, {"cpu": G, "rx_bytes": C}, hosts=("h1","h2"), episodes=2, every_s=10, start=T0)
files={f"{q}.csv": csvt([["time","value"]]+[[T0+10*i,v[i]] for i in range(N)]) for q,v in (("cpu_percent",a),("rx_bytes",b),("temperature",a2))}
case("35_metricfiles", files, {"cpu_percent": G, "rx_bytes": C, "temperature": G}, episodes=1, every_s=10, start=T0)
case("36_gap", {"x.csv": csvt([["time","cpu","rx_bytes"]]+[[T0+10*i+(86400 if i>=N//2 else 0),a[i],b[i]] for i in range(N)])}, {"cpu": G, "rx_bytes": C}, episodes=2, rows=120, every_s=10, start=T0, corrections=(UNLABELLED,))
case("37_serial", {"x.csv": csvt([["time","cpu"]]+[[f"{46311.5+i*10/86400:.8f}",a[i]] for i in range(N)])}, {"cpu": G}, every_s=10)
case("38_date_hour", {"x.csv": csvt([["date","hour","load_mw","temp"]]+[[iso(T0-43200+3600*i,f="%Y-%m-%d"),i%24,a[i],a2[i]] for i in range(N)])}, {"load_mw": G, "temp": G}, every_s=3600, start=T0-43200, rows=0, all_rows=240, episodes=2)
case("39_ymdhm", {"x.csv": csvt([["year","month","day","hour","minute","load","temp"]]+[[*iso(T0+600*i,f="%Y %m %d %H %M").split(),a[i],a2[i]] for i in range(N)])}, {"load": g(a.mean()), "temp": G}, every_s=600, start=T0)
rows=[["time","src_ip","dst_ip","signature","severity"]]
for i in range(N): rows.append([iso(T0+10*i),f"10.0.0.{i%4}","10.0.0.9",["scan","c2 beacon","policy"][i%3],1+i%3])
case("40_alerts_even", {"x.csv": csvt(rows)}, {"rows": E}, rows=0, start=T0, within_s=600, allowed="scan|beacon|policy")
case("41_prom_nan", {"r.json": json.dumps({"status":"success","data":{"resultType":"matrix","result":[{"metric":{"__name__":n_,"instance":"n1","job":"j"},"values":[[T0+15*i,"NaN" if i==9 else str(v[i])] for i in range(N)]} for n_,v in (("cpu_seconds_total",b),("mem_bytes_free",a))]}})}, {"cpu_seconds_total": Channel("counter", missing=1), "mem_bytes_free": Channel("gauge", missing=1)}, hosts=("n1",), every_s=15, start=T0)
case("42_prom_noname", {"r.json": json.dumps({"status":"success","data":{"resultType":"matrix","result":[{"metric":{"instance":h},"values":[[T0+15*i,str(x[i])] for i in range(N)]} for h,(x,_) in A.items()]}})}, {"value": G}, hosts=("h1","h2"), episodes=2, every_s=15, start=T0)
case("43_azure", {"x.json": json.dumps({"cost":0,"timespan":"x","interval":"PT1M","value":[{"id":"/subscriptions/1","type":"Microsoft.Insights/metrics","name":{"value":"Percentage CPU"},"unit":"Percent","timeseries":[{"metadatavalues":[],"data":[{"timeStamp":iso(T0+60*i,f="%Y-%m-%dT%H:%M:%SZ"),"average":float(a[i])} for i in range(N)]}]}]})}, {"average": G}, every_s=60, start=T0)
case("44_datadog", {"x.json": json.dumps({"status":"ok","series":[{"metric":"system.cpu.user","scope":f"host:{h}","interval":20,"pointlist":[[(T0+20*i)*1000.0,float(x[i])] for i in range(N)]} for h,(x,_) in A.items()]})}, {"cpu": G}, hosts=("h1","h2"), episodes=2, every_s=20, start=T0)
case("45_cr_host_in_comment", {f"{h}.csv": f"# host: {h}\n# agent 1.2\n"+csvt([["time","cpu","rx_bytes"]]+[[T0+10*i,x[i],y[i]] for i in range(N)]) for h,(x,y) in A.items()}, {"cpu": G, "rx_bytes": C}, hosts=("h1","h2"), episodes=2, every_s=10, start=T0)
case("46_blocks", {"x.csv": "".join(f"# host={h}\n"+csvt([["time","cpu","rx_bytes"]]+[[T0+10*i,x[i],y[i]] for i in range(N)]) for h,(x,y) in A.items())}, {"cpu": G, "rx_bytes": C}, hosts=("h1","h2"), episodes=2, every_s=10, start=T0)
case("47_wide500", {"x.csv": csvt([["time"]+[f"f{k}" for k in range(500)]+["label"]]+[[T0+10*i]+[round(float(a[(i*7+k)%N]),1) for k in range(500)]+["bot" if m[i] else "normal"] for i in range(N)])}, {r"f0$": G}, every_s=10, start=T0, hostile=1/3, allowed=r"f\d+")
case("48_status", {"x.csv": csvt([["time","cpu","rx_bytes","status"]]+[[T0+10*i,a[i],b[i],"OK" if i%9 else "WARN"] for i in range(N)])}, {"cpu": G, "rx_bytes": C}, every_s=10, start=T0, corrections=(UNLABELLED,))
case("49_client_server", {"x.csv": csvt([["time","client","server","latency_ms","reqs_total"]]+[[T0+10*i,f"c{k}","s1",v[i],w[i]] for i in range(N) for k,(v,w) in enumerate(A.values())])}, {"latency_ms": G, "reqs_total": C}, hosts=("c0","c1"), episodes=2, every_s=10, start=T0, options=(("--host","client"),))
case("50_disk_rows", {"x.csv": csvt([["time","hostname","device","reads_completed_total","util_pct"]]+[[T0+10*i,"z",d,y[i],x[i]] for i in range(N) for d,(x,y) in zip(("sda","sdb"),A.values())])}, {"sda_reads_completed_total": C, "sdb_reads_completed_total": C, "sda_util_pct": G, "sdb_util_pct": G}, hosts=("z",), every_s=10, start=T0)
case("51_docker", {"x.csv": csvt([["timestamp","container","cpu_perc","mem_usage","net_io"]]+[[iso(T0+5*i,f="%Y-%m-%dT%H:%M:%SZ"),h,f"{x[i]}%",f"{x[i]:.1f}MiB / 1.9GiB",f"{y[i]}B / 1kB"] for i in range(N) for h,(x,y) in per(("shop-web","shop-db")).items()])}, {"cpu_perc": G}, hosts=("shop-web","shop-db"), episodes=2, every_s=5, start=T0, options=(("--host","container"),))
case("52_host_ip", {"x.csv": tab(("10.0.0.1","10.0.0.2"),"ip")}, two_ch, hosts=("10.0.0.1","10.0.0.2"), episodes=2, every_s=10, start=T0, options=(("--host","ip"),))
case("53_mac", {"x.csv": tab(("00:1a:2b:3c:4d:5e","00:1a:2b:3c:4d:5f"),"mac")}, two_ch, hosts=("00:1a:2b:3c:4d:5e","00:1a:2b:3c:4d:5f"), episodes=2, every_s=10, start=T0, options=(("--host","mac"),))
case("54_phase_file_names", {f"{w}.csv": csvt([["time","cpu","rx_bytes_total"]]+[[T0+5*i+5000*j,a[i],b[i]] for i in range(N)]) for j,w in enumerate(("benign","beacon","wiper"))}, two_ch, episodes=3, every_s=5, start=T0, hostile=2/3, corrections=((r'^value = "\?"',"path = '([^/_.-]+)[^/]*$'"),(r"^classes = ",'classes = ["benign","beacon","wiper"]')))
case("55_decimal_hosts", {"x.csv": csvt([["time","host","temp"]]+[[T0+10*i,h,x[i]] for i in range(N) for h,(x,_) in per((1,2)).items()])}, {"temp": G}, hosts=("1","2"), episodes=2, every_s=10, start=T0)
case("56_neg_gauge", {"x.csv": csvt([["time","host","rssi_dbm","noise"]]+[[T0+10*i,"ap",-a[i],-99.0+a2[i]/10] for i in range(N)])}, {"rssi_dbm": G, "noise": G}, hosts=("ap",), every_s=10, start=T0)
case("57_sentinel_minus1", {"x.csv": csvt([["time","temp_c","fan_rpm"]]+[[T0+10*i,a[i],-1 if i%13==0 else int(1000+a[i])] for i in range(N)])}, {"temp_c": G, "fan_rpm": G}, every_s=10, start=T0)
case("58_999", {"x.csv": csvt([["time","temp","press"]]+[[T0+10*i,"999.9" if i%13==0 else a[i]/4,a2[i]] for i in range(N)])}, {"temp": Channel("gauge",missing=19), "press": G}, every_s=10, start=T0)
case("59_utf16_json", {"x.json": json.dumps([{"time":T0+10*i,"cpu":float(a[i]),"rx_bytes":int(b[i])} for i in range(N)]).encode("utf-16")}, {"cpu": g(a.mean()), "rx_bytes": C}, every_s=10, start=T0)
case("60_appended", {"x.csv": csvt([["time","cpu","rx_bytes"]]+[[T0+10*i,a[i],b[i]] for i in range(100)])+csvt([["time","rx_bytes","cpu"]]+[[T0+10*i,b[i],a[i]] for i in range(100,N)])}, {"cpu": g(a.mean()), "rx_bytes": c(grow(b,10))}, every_s=10, start=T0)

# ---------------------------------------------------------------- set 3

SET = 3
N = 240
r = rng("three"); a, b = walk(r, N), tot(r, N); a2 = np.round(100-a, 2); b2 = tot(r, N, rate=40); m = mid(N)
def per(hosts): return {h: (a,b) if i % 2 == 0 else (a2,b2) for i,h in enumerate(hosts)}
z = lambda i, s=10: iso(T0+s*i)
ga = lambda: g(a.mean())
# separators / encodings
case("01_caret", {"x.dat": csvt([["time","cpu","rx_total"]]+[[z(i),a[i],b[i]] for i in range(N)],"^")}, {"cpu": ga(), "rx_total": C}, every_s=10, start=T0)
case("02_tab_utf16be", {"x.txt": b"\xfe\xff"+csvt([["Time","CPU Load","Packets Received"]]+[[z(i),a[i],b[i]] for i in range(N)],"\t","\r\n").encode("utf-16-be")}, {"cpu_load": ga(), "packets_received": C}, every_s=10, start=T0)
case("03_comma_comma", {"x.csv": csvt([["fecha","carga","memoria"]]+[[f'"{iso(T0+10*i,f="%d-%m-%Y %H:%M:%S")}"',f'"{a[i]:.2f}"'.replace(".",","),f'"{a2[i]:.2f}"'.replace(".",",")] for i in range(N)])}, {"carga": ga(), "memoria": G}, every_s=10, start=T0, options=(("--time","fecha"),))
case("04_fixed", {"x.txt": "time                 cpu    mem\n"+"".join(f"{iso(T0+10*i,f='%Y-%m-%dT%H:%M:%S')}  {a[i]:6.2f} {a2[i]:6.2f}\n" for i in range(N))}, {"cpu": ga(), "mem": G}, every_s=10, start=T0)
# clocks
case("05_dm_month", {"x.csv": csvt([["Date","Reading A","Reading B"]]+[[iso(T0+60*i,f="%d-%b-%Y %H:%M"),a[i],a2[i]] for i in range(N)])}, {"reading_a": ga(), "reading_b": G}, every_s=60, start=T0)
case("06_rfc2822", {"x.csv": csvt([["when","cpu","ctx_total"]]+[[f'"{iso(T0+10*i,f="%a, %d %b %Y %H:%M:%S +0000")}"',a[i],b[i]] for i in range(N)])}, {"cpu": ga(), "ctx_total": C}, every_s=10, start=T0)
case("07_tzsuffix", {"x.csv": csvt([["time","cpu","ctx_total"]]+[[iso(T0+7200+10*i)+" CEST",a[i],b[i]] for i in range(N)])}, {"cpu": ga(), "ctx_total": C}, every_s=10, start=T0)
case("08_epoch_quoted", {"x.csv": csvt([["epoch_ns","cpu","ctx_total"]]+[[f'"{(T0+10*i)*10**9}"',a[i],b[i]] for i in range(N)])}, {"cpu": ga(), "ctx_total": C}, every_s=10, start=T0)
case("09_clock_only_two_days", {"x.csv": csvt([["time","cpu","ctx_total"]]+[[iso(T0+42000+30*i,f="%H:%M:%S"),a[i],b[i]] for i in range(N)])}, {"cpu": ga(), "ctx_total": C}, every_s=30, start=T0+42000, corrections=(UNLABELLED,(r'^start = "\?"',f'start = "{iso(T0+42000,f="%Y-%m-%d")}"')))
case("10_two_clocks_order", {"x.csv": csvt([["received_at","event_time","cpu","ctx_total"]]+[[iso(T0+300),z(i),a[i],b[i]] for i in range(N)])}, {"cpu": ga(), "ctx_total": C}, every_s=10, start=T0)
case("11_desc_hosts", {"x.csv": csvt([["time","server_name","cpu","ctx_total"]]+[[z(i),h,v[0][i],v[1][i]] for h,v in per(("s1","s2")).items() for i in reversed(range(N))])}, {"cpu": G, "ctx_total": C}, hosts=("s1","s2"), episodes=2, every_s=10, start=T0)
# hosts
case("12_fqdn_site", {"x.csv": csvt([["time","site","hostname","cpu","ctx_total"]]+[[z(i),s,h,v[0][i],v[1][i]] for i in range(N) for (h,v),s in zip(per(("a.x.org","b.x.org","c.x.org")).items(),("north","north","south"))])}, {"cpu": G, "ctx_total": C}, hosts=("a.x.org","b.x.org","c.x.org"), episodes=3, every_s=10, start=T0)
case("13_tenant_vm", {"x.csv": csvt([["time","tenant","vm","cpu","ctx_total"]]+[[z(i),t,h,v[0][i],v[1][i]] for i in range(N) for (h,v),t in zip(per(("v1","v2")).items(),("t1","t2"))])}, {"cpu": G, "ctx_total": C}, hosts=("v1","v2"), episodes=2, every_s=10, start=T0)
case("14_host_reused", {"x.csv": csvt([["time","cluster","host","cpu","ctx_total"]]+[[z(i),t,h,v[0][i],v[1][i]] for i in range(N) for t in ("east","west") for h,v in per(("n1","n2")).items()])}, {"cpu": G, "ctx_total": C}, episodes=4, every_s=10, start=T0)
case("15_uuid", {"x.csv": csvt([["time","uuid","cpu","ctx_total"]]+[[z(i),h,v[0][i],v[1][i]] for i in range(N) for h,v in per(("6f9619ff-8b86-d011-b42d-00c04fc964ff","7f9619ff-8b86-d011-b42d-00c04fc964ff")).items()])}, {"cpu": G, "ctx_total": C}, hosts=("6f9619ff-8b86-d011-b42d-00c04fc964ff","7f9619ff-8b86-d011-b42d-00c04fc964ff"), episodes=2, every_s=10, start=T0, options=(("--host","uuid"),))
case("16_host_case", {"x.csv": csvt([["time","Host","cpu","ctx_total"]]+[[z(i),"Web1" if i<100 else "Web1 ",a[i],b[i]] for i in range(N)])}, {"cpu": ga(), "ctx_total": C}, hosts=("Web1",), every_s=10, start=T0)
case("17_empty_host_rows", {"x.csv": csvt([["time","host","cpu","ctx_total"]]+[[z(i),"h" if i%20 else "",a[i],b[i]] for i in range(N)])}, {"cpu": G, "ctx_total": C}, hosts=("h",), rows=228, every_s=10, start=T0+10)
case("18_files_run", {f"exp{k}.csv": csvt([["time","cpu","ctx_total"]]+[[iso(T0+9000*k+10*i),a[i],b[i]] for i in range(N)]) for k in range(3)}, {"cpu": ga(), "ctx_total": C}, hosts=("host-1",), episodes=3, every_s=10, start=T0)
case("19_day_split_files", {f"log.{16+k}.csv": csvt([["time","host","cpu","ctx_total"]]+[[iso(T0+2400*k+10*i),"q",a[i],b[i]+10**6*k] for i in range(N)]) for k in range(2)}, {"cpu": G, "ctx_total": C}, hosts=("q",), episodes=2, every_s=10, start=T0)
case("20_ips_flows_nolabels", {"x.csv": csvt([["Flow ID","Src IP","Src Port","Dst IP","Dst Port","Timestamp","Flow Duration","Tot Bytes","Pkt Len Mean","Label"]]+[[f"f{i}",f"10.0.0.{i%5}",1024+i,"8.8.8.8",443,iso(T0+int(i*1.5),f="%d/%m/%Y %H:%M:%S"),int(1000*a[i]),int(100*a2[i]),a[i],"BENIGN" if not m[i] else "Bot"] for i in range(N)])}, {"tot_bytes": Channel("event",total=int(sum(int(100*x) for x in a2))), "rows": Channel("event",total=N)}, rows=0, start=T0, within_s=60, hostile=-1.0, allowed="flow_duration", corrections=())
# long
case("21_long_unit", {"x.csv": csvt([["timestamp","entity","metric_name","unit","val"]]+[[z(i),h,q,u,v[k][i]] for i in range(N) for h,v in per(("e1","e2")).items() for k,(q,u) in enumerate((("cpu_usage","%"),("bytes_in","B")))])}, {"cpu_usage": G, "bytes_in": C}, hosts=("e1","e2"), episodes=2, every_s=10, start=T0, options=(("--host","entity"),), corrections=(UNLABELLED,(r'"bytes_in".*"\?"','["bytes_in","B","counter","x"],')))
case("22_long_core", {"x.csv": csvt([["timestamp","host","metric","core","value"]]+[[z(i),"h",q,k,round(float(a[i])*(k+1)/2,3)] for i in range(N) for q in ("user","system") for k in (0,1)])}, {"user_0": G, "user_1": G, "system_0": G, "system_1": G}, hosts=("h",), every_s=10, start=T0)
case("23_long_jitter", {"x.csv": csvt([["timestamp","host","metric","value"]]+[[f"{T0+10*i+.01*k:.3f}","h",q,v[i]] for i in range(N) for k,(q,v) in enumerate((("load",a),("mem",a2)))])}, {"load": ga(), "mem": G}, hosts=("h",), every_s=10, start=T0, within_s=10)
# json
case("24_ndjson_time_str_ms", {"x.ndjson": "\n".join(json.dumps({"t":{"$date":iso(T0+10*i,f="%Y-%m-%dT%H:%M:%S.000Z")},"meta":{"host":h},"cpu":float(v[0][i]),"rx_bytes":int(v[1][i])}) for i in range(N) for h,v in per(("a","b")).items())}, {"cpu": G, "rx_bytes": C}, hosts=("a","b"), episodes=2, every_s=10, start=T0)
case("25_json_wrapped", {"x.json": json.dumps({"status":"ok","count":N,"data":{"rows":[{"ts":T0+10*i,"cpu":float(a[i]),"rx_bytes":int(b[i])} for i in range(N)]}})}, {"cpu": ga(), "rx_bytes": C}, every_s=10, start=T0)
case("26_two_lists", {"x.json": json.dumps({"cpu":[{"ts":T0+10*i,"v":float(a[i])} for i in range(N)],"mem":[{"ts":T0+10*i,"v":float(a2[i])} for i in range(N)]})}, {"cpu": ga(), "mem": G}, every_s=10, start=T0, options=(("--quantity","key"),))
case("27_grafana_frames", {"x.json": json.dumps({"results":{"A":{"frames":[{"schema":{"fields":[{"name":"Time"},{"name":"cpu"}]},"data":{"values":[[(T0+10*i)*1000 for i in range(N)],[float(x) for x in a]]}}]}}})}, {"cpu": ga()}, every_s=10, start=T0)
case("28_elastic_hits", {"x.json": json.dumps({"took":3,"hits":{"total":N,"hits":[{"_index":"m","_id":str(i),"_source":{"@timestamp":iso(T0+10*i,f="%Y-%m-%dT%H:%M:%SZ"),"host":{"hostname":h},"cpu":{"pct":float(v[0][i])}}} for i in range(N) for h,v in per(("a","b")).items()]}})}, {"cpu_pct": G}, hosts=("a","b"), episodes=2, every_s=10, start=T0)
case("29_loki", {"x.json": json.dumps({"status":"success","data":{"resultType":"streams","result":[{"stream":{"host":"a","app":"sshd"},"values":[[str((T0+10*i)*10**9),f"line {i}"] for i in range(N)]}]}})}, {"rows": E}, rows=0)
case("30_prom_vector_by_mode", {"x.json": json.dumps({"status":"success","data":{"resultType":"matrix","result":[{"metric":{"__name__":"cpu_seconds_total","mode":mo,"node":h},"values":[[T0+15*i,str(int(b[i]*k))] for i in range(N)]} for h in ("k1","k2") for k,mo in enumerate(("user","system"),1)]}})}, {"user": C, "system": C}, hosts=("k1","k2"), episodes=2, every_s=15, start=T0)
# labels
case("31_label_end_before", {"t.csv": csvt([["time","cpu","tx_bytes"]]+[[z(i),a[i],b[i]] for i in range(N)]), "events.csv": csvt([["Start Time","Stop Time","Attack Type"],[z(80),z(160),"Bruteforce"]])}, {"cpu": ga(), "tx_bytes": C}, every_s=10, start=T0, hostile=1/3)
case("32_label_json", {"t.csv": csvt([["time","cpu","tx_bytes"]]+[[z(i),a[i],b[i]] for i in range(N)]), "attacks.json": json.dumps([{"start":z(80),"end":z(160),"name":"miner"}])}, {"cpu": ga(), "tx_bytes": C}, every_s=10, start=T0, hostile=1/3)
case("33_label_marks_host", {"t.csv": csvt([["time","host","cpu","tx_bytes"]]+[[z(i),h,v[0][i],v[1][i]] for i in range(N) for h,v in per(("w","x")).items()]), "marks.csv": csvt([["time","host","label"],[z(0),"w","benign"],[z(0),"x","benign"],[z(80),"w","scan"],[z(160),"w","benign"],[z(40),"x","exfil"],[z(120),"x","benign"]])}, {"cpu": G, "tx_bytes": C}, hosts=("w","x"), episodes=2, every_s=10, start=T0, hostile=1/3)
case("34_multi_onehot", {"x.csv": csvt([["time","cpu","normal","dos","probe"]]+[[z(i),a[i],int(not m[i]),int(m[i] and i<120),int(m[i] and i>=120)] for i in range(N)])}, {"cpu": ga()}, every_s=10, start=T0, hostile=1/3)
case("35_severity", {"x.csv": csvt([["time","cpu","tx_bytes","risk_level","alert"]]+[[z(i),a[i],b[i],"high" if m[i] else "low","yes" if m[i] else "no"] for i in range(N)])}, {"cpu": ga(), "tx_bytes": C}, every_s=10, start=T0, hostile=0, allowed="risk", corrections=(UNLABELLED,))
case("36_bool_attack", {"x.csv": csvt([["time","cpu","under_attack"]]+[[z(i),a[i],str(m[i])] for i in range(N)])}, {"cpu": ga()}, every_s=10, start=T0, hostile=1/3)
case("37_label_only_attack_late", {"x.csv": csvt([["time","cpu","label"]]+[[T0+i,round(float(a[i%N]),2),"benign" if i<22000 else "worm"] for i in range(24000)])}, {"cpu": G}, rows=24000, every_s=1, start=T0, hostile=2000/24000)
case("38_unlabeled_background", {"x.csv": csvt([["time","cpu","Class"]]+[[z(i),a[i],"unknown" if i<20 else ("attack" if m[i] else "normal")] for i in range(N)])}, {"cpu": ga()}, every_s=10, start=T0, hostile=1/3+20/240)
# kinds
case("39_rates_names", {"x.csv": csvt([["time","rx_bytes_per_sec","reqs/s","errors","queue_len","net.bytes_sent"]]+[[z(i),round(a[i]*100,1),a2[i],b2[i],int(a[i]/5),b[i]] for i in range(N)])}, {"rx_bytes_per_sec": G, "reqs_s": G, "errors": C, "queue_len": G, "net_bytes_sent": C}, every_s=10, start=T0)
case("40_energy", {"x.csv": csvt([["time","energy_kwh","power_w"]]+[[z(i),round(float(b[i])/1000,3),a[i]] for i in range(N)])}, {"energy_kwh": C, "power_w": ga()}, every_s=10, start=T0, corrections=(UNLABELLED,(r'"energy_kwh".*"\?"','["energy_kwh","1","counter","x"],')))
case("41_monotone_gauge", {"x.csv": csvt([["time","disk_used_bytes","temperature","cpu"]]+[[z(i),int(1e9+5e5*i),round(20+i*.05,2),a[i]] for i in range(N)])}, {"disk_used_bytes": G, "temperature": G, "cpu": ga()}, every_s=10, start=T0)
case("42_reset_hosts", {"x.csv": csvt([["time","host","rx_bytes","cpu"]]+[[z(i),h,int(v[1][i]) if i<150 else int(v[1][i]-v[1][150]),v[0][i]] for i in range(N) for h,v in per(("h1","h2","h3")).items()])}, {"rx_bytes": C, "cpu": G}, hosts=("h1","h2","h3"), episodes=3, every_s=10, start=T0)
case("43_wide_ports", {"x.csv": csvt([["time","host","port","pid","vlan","line","cpu"]]+[[z(i),"h",8080+i%3,4000+i%7,10,i+1,a[i]] for i in range(N)])}, {"cpu": ga()}, hosts=("h",), every_s=10, start=T0)
# events
rr=rng("ev"); t=T0; ev=[]
for i in range(500): t+=float(rr.exponential(3)); ev.append(t)
case("44_syslog_json", {"x.log": "\n".join(json.dumps({"time":iso(t,f="%Y-%m-%dT%H:%M:%SZ"),"hostname":["g1","g2"][i%2],"severity":i%5,"program":["sshd","cron"][i%3==0],"msg":f"m{i}"}) for i,t in enumerate(ev))}, {"rows": E}, hosts=("g1","g2"), episodes=2, rows=0, start=T0, within_s=600, allowed="sshd|cron", options=(("--rows","events"),))
case("45_web_access", {"x.csv": csvt([["ts","client_ip","method","status","bytes","duration_ms","user_agent"]]+[[f"{t:.3f}",f"10.0.0.{i%9}","GET",[200,404][i%7==0],int(rr.integers(10,9999)),int(rr.integers(1,500)),"curl"] for i,t in enumerate(ev)])}, {"bytes": E, "rows": Channel("event",total=500)}, rows=0, start=T0, within_s=600, allowed="duration_ms|get")
case("46_dropped_negative", {"x.csv": csvt([["ts","src","dst","bytes","score"]]+[[f"{t:.3f}","a","b",int(rr.integers(10,9999)),round(float(rr.normal()),3)] for i,t in enumerate(ev)])}, {"bytes": E, "rows": E}, rows=0, start=T0, within_s=600)
# misc
case("47_thousand_int", {"x.csv": csvt([["time","mem_free","cpu"]]+[[z(i),f'"{int(1e6+1e4*a[i]):,}"',a[i]] for i in range(N)])}, {"mem_free": g(np.array([int(1e6+1e4*x) for x in a]).mean()), "cpu": ga()}, every_s=10, start=T0)
case("48_size_suffix", {"x.csv": csvt([["time","mem_used","cpu"]]+[[z(i),f"{a[i]/10:.2f}G" if i%2 else f"{a[i]*100:.0f}M",a[i]] for i in range(N)])}, {"mem_used": G, "cpu": ga()}, every_s=10, start=T0)
case("49_error_cells", {"x.csv": csvt([["time","temp","cpu"]]+[[z(i),"ERR" if i%40==5 else a2[i],a[i]] for i in range(N)])}, {"temp": Channel("gauge",missing=6), "cpu": ga()}, every_s=10, start=T0)
case("50_hms_duration", {"x.csv": csvt([["time","uptime","cpu"]]+[[z(i),iso(T0+10*i,f="%H:%M:%S"),a[i]] for i in range(N)])}, {"cpu": ga()}, every_s=10, start=T0)
case("51_over_week_labels", {"x.csv": csvt([["time","host","cpu","attack"]]+[[iso(T0+3600*i),"h",a[i],int(m[i])] for i in range(N)])}, {"cpu": G}, hosts=("h",), rows=0, all_rows=N, every_s=3600, start=T0, episodes=2, hostile=-1.0)
def zipped():
    bio=io.BytesIO()
    with zipfile.ZipFile(bio,"w") as zf:
        for k,ph in enumerate(("benign","ransomware")):
            for h,v in per(("u1","u2")).items(): zf.writestr(f"{ph}/{h}.csv", csvt([["time","cpu","rx_bytes"]]+[[T0+10*i+5000*k,v[0][i],v[1][i]] for i in range(N)]))
    return bio.getvalue()
case("53_zip_folders", {"d.zip": zipped()}, {"cpu": G, "rx_bytes": C}, hosts=("u1","u2"), episodes=4, every_s=10, start=T0, hostile=.5)
case("54_bad_middle", {f"{h}.csv": (csvt([["time","host","cpu","label"]]+[[z(i),h,a[i],"normal" if not m[i] else "dos"] for i in range(N)]) if h!="c" else "\x00\x01\x02garbage\x00") for h in ("a","b","c")}, {"cpu": ga()}, hosts=("a","b"), episodes=2, every_s=10, start=T0, hostile=1/3, exit=3)
case("55_extra_column_later", {f"d{k}.csv": csvt([["time","host","cpu"]+(["gpu"] if k else [])]+[[iso(T0+3000*k+10*i),"h",a[i]]+([a2[i]] if k else []) for i in range(N)]) for k in range(2)}, {"cpu": ga(), "gpu": Channel("gauge")}, hosts=("h",), episodes=2, every_s=10, start=T0)
case("56_comment_hash_rows", {"x.csv": "time,cpu,rx_bytes\n"+"".join((f"# rotated {i}\n" if i%60==0 else "")+f"{T0+10*i},{a[i]},{b[i]}\n" for i in range(N))}, {"cpu": ga(), "rx_bytes": C}, every_s=10, start=T0)
case("57_cols_order_hosts", {f"{h}.csv": csvt([["time","cpu","rx_bytes"] if h=="aa" else ["time","rx_bytes","cpu"]]+[[T0+10*i]+([v[0][i],v[1][i]] if h=="aa" else [v[1][i],v[0][i]]) for i in range(N)]) for h,v in per(("aa","bb")).items()}, {"cpu": G, "rx_bytes": C}, hosts=("aa","bb"), episodes=2, every_s=10, start=T0)
case("58_nagios_perf", {"x.csv": csvt([["time","host","service","perfdata"]]+[[z(i),"h","load",f"load1={a[i]};5;10 load5={a2[i]};4;8"] for i in range(N)])}, {"load1": G}, hosts=("h",))

# ---------------------------------------------------------------- set 4

SET = 4
N = 240
r = rng("four"); a, b = walk(r, N), tot(r, N); a2 = np.round(100-a, 2); b2 = tot(r, N, rate=40); m = mid(N)
def per(hosts): return {h: (a,b) if i % 2 == 0 else (a2,b2) for i,h in enumerate(hosts)}
z = lambda i, s=10: iso(T0+s*i)
ga = lambda: g(a.mean())
def wide(h, rows): return csvt([["time"]+h]+rows)
case("01_tilde", {"x.out": csvt([["when","load","in_pkts_total"]]+[[z(i),a[i],b[i]] for i in range(N)],"~")}, {"load": ga(), "in_pkts_total": C}, every_s=10, start=T0)
case("02_bz2_semicolon_cp", {"x.csv.bz2": bz2.compress(csvt([["Zeit","Gebäude","Wärme","Durchfluß"]]+[[iso(T0+60*i,f="%d.%m.%Y %H:%M"),"A",f"{a[i]:.2f}".replace(".",","),f"{a2[i]:.2f}".replace(".",",")] for i in range(N)],";").encode("cp1252"))}, {"w.*rme": ga(), "durchflu.*": G}, every_s=60, start=T0)
case("03_quoted_tab", {"x.tab": csvt([['"time"','"cpu"','"rx_total"']]+[[f'"{z(i)}"',f'"{a[i]}"',f'"{b[i]}"'] for i in range(N)],"\t")}, {"cpu": ga(), "rx_total": C}, every_s=10, start=T0)
case("04_date_time_tz", {"x.csv": csvt([["date","time","tz","cpu"]]+[[iso(T0+10*i,f="%Y-%m-%d"),iso(T0+10*i,f="%H:%M:%S"),"UTC",a[i]] for i in range(N)])}, {"cpu": ga()}, every_s=10, start=T0)
case("05_clf", {"x.csv": csvt([["stamp","cpu"]]+[[iso(T0+10*i,f="%d/%b/%Y:%H:%M:%S +0000"),a[i]] for i in range(N)])}, {"cpu": ga()}, every_s=10, start=T0)
case("06_summer_hosts", {"x.csv": csvt([["time","host","cpu"]]+[[iso(int(dt.datetime(2026,10,24,23,0,tzinfo=UTC).timestamp())+60*i,ZoneInfo("Europe/Paris")),h,v[0][i]] for h,v in per(("p","q")).items() for i in range(N)])}, {"cpu": G}, hosts=("p","q"), episodes=2, every_s=60, start=int(dt.datetime(2026,10,24,23,0,tzinfo=UTC).timestamp()), corrections=(UNLABELLED,(r'^zone = "\?"','zone = "Europe/Paris"')))
case("07_frames", {"x.csv": csvt([["frame","x_pos","y_pos"]]+[[i,a[i],a2[i]] for i in range(N)])}, {"x_pos": G}, every_s=1)
case("08_seconds_counter", {"x.csv": csvt([["ts","cpu_seconds","gc_seconds_sum","heap_bytes"]]+[[T0+10*i,round(float(b[i])/7,2),round(float(b2[i])/9,3),int(1e6*a[i])] for i in range(N)])}, {"cpu_seconds": C, "gc_seconds_sum": C, "heap_bytes": G}, every_s=10, start=T0)
case("09_preamble_table", {"x.csv": "Report,Weekly\nGenerated,2026-10-20 09:00:00\nRows,240\n\nTimestamp,Server,CPU,Sent Bytes Total\n"+"".join(f"{z(i)},{h},{v[0][i]},{v[1][i]}\n" for i in range(N) for h,v in per(("A1","B1")).items())}, {"cpu": G, "sent_bytes_total": C}, hosts=("A1","B1"), episodes=2, every_s=10, start=T0)
case("10_units_parens", {"x.csv": "time (UTC),cpu (%),net (kB/s)\n"+"".join(f"{z(i)},{a[i]},{a2[i]}\n" for i in range(N))}, {"cpu.*": ga(), "net.*": G}, every_s=10, start=T0)
case("11_types_row", {"x.csv": "time,cpu,state\ndatetime,float,string\n"+"".join(f"{z(i)},{a[i]},on\n" for i in range(N))}, {"cpu": ga()}, every_s=10, start=T0)
case("12_station", {"x.csv": csvt([["obstime","station","temp","wind"]]+[[z(i),s,v[0][i],v[1][i]%50] for i in range(N) for s,v in per((10147,10384)).items()])}, {"temp": G, "wind": G}, hosts=("10147","10384"), episodes=2, every_s=10, start=T0, options=(("--time","obstime"),("--host","station")), corrections=(UNLABELLED,))
case("13_robot_seq", {"x.csv": csvt([["time","robot","torque","rpm"]]+[[iso(T0+10*i+k*2400),s,v[0][i],v[1][i]%500] for k,(s,v) in enumerate(per(("r1","r2")).items()) for i in range(N)])}, {"torque": G, "rpm": G}, hosts=("r1","r2"), episodes=2, every_s=10, start=T0, options=(("--host","robot"),))
case("14_robot_cycle", {"x.csv": csvt([["time","robot","torque"]]+[[iso(T0+10*(i*3+k)),s,v[0][i]] for i in range(N) for k,(s,v) in enumerate(per(("r1","r2","r3")).items())])}, {"torque": G}, hosts=("r1","r2","r3"), episodes=3, every_s=30, start=T0, options=(("--host","robot"),))
case("15_user_col", {"x.csv": csvt([["time","user","keystrokes","mouse"]]+[[z(i),u,int(v[0][i]),int(v[0][i]*2)] for i in range(N) for u,v in per(("ann","bob")).items()])}, {"keystrokes": G, "mouse": G}, hosts=("ann","bob"), episodes=2, every_s=10, start=T0, options=(("--host","user"),))
case("16_proc_rows", {"x.csv": csvt([["time","host","process","cpu"]]+[[z(i),"h",p,round(float(a[i])/(k+1),2)] for i in range(N) for k,p in enumerate(("nginx","mysqld"))])}, {"nginx": G, "mysqld": G}, hosts=("h",), every_s=10, start=T0, options=(("--quantity","process"),))
case("17_iface_rows", {"x.csv": csvt([["time","host","iface","rx_bytes","tx_bytes"]]+[[z(i),"h",p,b[i]*(k+1),b2[i]] for i in range(N) for k,p in enumerate(("eth0","wlan0"))])}, {"eth0_rx_bytes": C, "wlan0_rx_bytes": C, "eth0_tx_bytes": C, "wlan0_tx_bytes": C}, hosts=("h",), every_s=10, start=T0)
case("18_flat_hostdate", {f"{h}-2026{mm}.csv": csvt([["time","cpu"]]+[[iso(T0+k*40*86400+10*i),v[0][i]] for i in range(N)]) for h,v in per(("gw","fw")).items() for k,mm in enumerate((10,11))}, {"cpu": G}, episodes=4, every_s=10, start=T0)
case("19_host_in_folder_deep", {f"data/raw/{h}/m.csv": csvt([["time","cpu"]]+[[z(i),v[0][i]] for i in range(N)]) for h,v in per(("n1","n2")).items()}, {"cpu": G}, episodes=2, every_s=10, start=T0, hosts=("n1","n2"))
case("20_host_phase_name", {f"{h}_{p}.csv": csvt([["time","cpu"]]+[[iso(T0+k*5000+10*i),v[0][i]] for i in range(N)]) for h,v in per(("pi1","pi2")).items() for k,p in enumerate(("normal","ransomware"))}, {"cpu": G}, episodes=4, every_s=10, start=T0, hosts=("pi1","pi2"), hostile=.5)
case("21_label_dir_train", {f"{sp}/{p}/{k}.csv": csvt([["time","cpu"]]+[[iso(T0+k*5000+j*90000+s*900000+10*i),a[i]] for i in range(N)]) for s,sp in enumerate(("train","test")) for j,p in enumerate(("benign","attack")) for k in range(2)}, {"cpu": G}, episodes=8, every_s=10, start=T0, hostile=.5)
case("22_long_text_vals", {"x.csv": csvt([["time","host","item","value"]]+[[z(i),"h",q,v] for i in range(N) for q,v in (("cpu",a[i]),("kernel","6.1"),("state","up"))])}, {"cpu": ga()}, hosts=("h",), every_s=10, start=T0, allowed="kernel")
case("23_json_values_str", {"x.json": json.dumps([{"timestamp":z(i),"cpu":f"{a[i]}","mem":f"{a2[i]} %"} for i in range(N)])}, {"cpu": ga(), "mem": G}, every_s=10, start=T0)
case("24_json_epoch_float", {"x.log": "\n".join(json.dumps({"ts":T0+10*i+.5,"sensor_id":s,"temp_c":float(v[0][i])}) for i in range(N) for s,v in per(("s-1","s-2")).items())}, {"temp_c": G}, hosts=("s-1","s-2"), episodes=2, every_s=10, start=T0+.5)
case("25_json_mixed_events", {"x.jsonl": "\n".join([json.dumps({"type":"metric","time":z(i),"host":"h","cpu":float(a[i])}) for i in range(N)]+[json.dumps({"type":"log","time":z(7),"host":"h","message":"hi"})])}, {"cpu": ga()}, hosts=("h",), every_s=10, start=T0)
case("26_influx_json", {"x.json": json.dumps({"results":[{"series":[{"name":"cpu","tags":{"host":h},"columns":["time","usage"],"values":[[(T0+10*i)*10**9,float(v[0][i])] for i in range(N)]} for h,v in per(("i1","i2")).items()]}]})}, {"usage": G}, hosts=("i1","i2"), episodes=2, every_s=10, start=T0)
case("27_lab_overlap_two", {"t.csv": csvt([["time","host","cpu","tx_bytes"]]+[[z(i),h,v[0][i],v[1][i]] for i in range(N) for h,v in per(("w","x")).items()]), "gt.csv": csvt([["victim","t_start","t_end","attack"],["w",z(80),z(160),"scan"],["x",z(0),z(80),"exfil"]])}, {"cpu": G, "tx_bytes": C}, hosts=("w","x"), episodes=2, every_s=10, start=T0, hostile=1/3)
case("28_lab_no_header_words", {"t.csv": csvt([["time","cpu","tx_bytes"]]+[[z(i),a[i],b[i]] for i in range(N)]), "phases.csv": csvt([["onset","offset","activity"],[z(80),z(160),"mining"],[z(160),z(200),"idle"]])}, {"cpu": ga(), "tx_bytes": C}, every_s=10, start=T0, hostile=1/3, corrections=((r"^outside = .\?", "outside = \"idle\""),))
case("29_label_class_numeric", {"x.csv": csvt([["time","cpu","class"]]+[[z(i),a[i],2 if m[i] else 1] for i in range(N)])}, {"cpu": ga()}, every_s=10, start=T0, hostile=1/3, phases={"benign":"^1$","hostile":"^2$"}, corrections=((r"^classes = ",'classes = ["1", "2"]'),))
case("30_anomaly_cols", {"x.csv": csvt([["time","cpu","anomaly","changepoint"]]+[[z(i),a[i],float(m[i]),float(i in (80,160))] for i in range(N)],";")}, {"cpu": ga()}, every_s=10, start=T0, hostile=1/3)
case("31_gauge_total_words", {"x.csv": csvt([["time","total_connections","bytes_in_use","threads","free_kb"]]+[[z(i),int(a[i]),int(a2[i]*1e4),int(a[i]/3),int(a2[i]*100)] for i in range(N)])}, {"total_connections": Channel("gauge|counter"), "bytes_in_use": G, "threads": G, "free_kb": G}, every_s=10, start=T0, corrections=(UNLABELLED,(r'total_connections.*"\?"','["total_connections","1","gauge","x"],')))
case("32_monotone_unknown", {"x.csv": csvt([["time","widgets","cpu"]]+[[z(i),int(b[i]),a[i]] for i in range(N)])}, {"widgets": C, "cpu": ga()}, every_s=10, start=T0, corrections=(UNLABELLED,(r'"widgets".*"\?"','["widgets","1","counter","x"],')))
case("33_ids", {"x.csv": csvt([["time","sensor_serial","batch","order_id","cpu"]]+[[z(i),88123,1+i//60,500000+i*3,a[i]] for i in range(N)])}, {"cpu": ga()}, every_s=10, start=T0, allowed="batch")
rr=rng("ev4"); t=T0; ev=[]
for i in range(500): t+=float(rr.exponential(3)); ev.append(t)
case("34_ids_alerts", {"x.csv": csvt([["timestamp","src_ip","src_port","dest_ip","dest_port","signature_id","priority","bytes"]]+[[iso(t,f="%Y-%m-%dT%H:%M:%S.%fZ"),"1.1.1.1",int(rr.integers(1024,60000)),"2.2.2.2",80,2000000+i%5,1+i%3,int(rr.integers(40,1500))] for i,t in enumerate(ev)])}, {"bytes": E, "rows": Channel("event",total=500)}, rows=0, start=T0, within_s=600)
case("35_argus", {"x.csv": csvt([["StartTime","Flgs","Proto","SrcAddr","Sport","Dir","DstAddr","Dport","TotPkts","TotBytes","State"]]+[[iso(t,f="%Y/%m/%d %H:%M:%S.%f"),"e","tcp","1.1.1.1",1000+i,"->","2.2.2.2",80,1+i%9,100+i*7%91,"CON"] for i,t in enumerate(ev)])}, {"totpkts": E, "totbytes": E, "rows": Channel("event",total=500)}, rows=0, start=T0, within_s=600, allowed="con$|state")
case("36_inf_gauge", {"x.csv": csvt([["time","rate_mbps","cpu"]]+[[z(i),"inf" if i==9 else a2[i],a[i]] for i in range(N)])}, {"rate_mbps": Channel("gauge",missing=1), "cpu": ga()}, every_s=10, start=T0)
case("37_missing_host_late", {"x.csv": csvt([["time","cpu","mem"]]+[[z(i),a[i] if i%2 else "", a2[i] if i%2==0 else ""] for i in range(N)])}, {"cpu": Channel("gauge",missing=120), "mem": Channel("gauge",missing=120)}, every_s=10, start=T0)
case("38_minutes_step_10m", {"x.csv": csvt([["time","site_load"]]+[[iso(T0+1800*i),a[i]] for i in range(N)])}, {"site_load": ga()}, every_s=1800, start=T0)
case("39_dup_colnames", {"x.csv": csvt([["time","cpu","cpu","rx_total"]]+[[z(i),a[i],a2[i],b[i]] for i in range(N)])}, {"cpu": ga(), "cpu_1": G, "rx_total": C}, every_s=10, start=T0)
case("40_empty_colname", {"x.csv": csvt([["","time","cpu",""]]+[[i,z(i),a[i],a2[i]] for i in range(N)])}, {"cpu": ga(), "column_4": G}, every_s=10, start=T0)

# ---------------------------------------------------------------- set 5

SET = 5
N = 240
r = rng("five"); a, b = walk(r, N), tot(r, N); a2 = np.round(100-a, 2); b2 = tot(r, N, rate=40); m = mid(N)
def per(hosts): return {h: (a,b) if i % 2 == 0 else (a2,b2) for i,h in enumerate(hosts)}
z = lambda i, s=10: iso(T0+s*i)
ga = lambda: g(a.mean())
case("01_appliance", {"x.csv": csvt([["ReadTime","Appliance","Watts","kWh"]]+[[z(i,30),h,v[0][i],round(float(v[1][i])/1000,3)] for i in range(N) for h,v in per(("fridge","oven")).items()])}, {"watts": G, "kwh": C}, hosts=("fridge","oven"), episodes=2, every_s=30, start=T0, options=(("--host","Appliance"),), corrections=(UNLABELLED,(r'"kwh".*"\?"','["kwh","1","counter","x"],')))
case("02_vehicle_int", {"x.csv": csvt([["time","vehicle","speed","odometer_km"]]+[[z(i),h,v[0][i],round(float(v[1][i])/10,1)] for i in range(N) for h,v in per((12,31)).items()])}, {"speed": G, "odometer_km": C}, hosts=("12","31"), episodes=2, every_s=10, start=T0, options=(("--host","vehicle"),), corrections=(UNLABELLED,(r'"odometer_km".*"\?"','["odometer_km","1","counter","x"],')))
case("03_patients_seq", {"x.csv": csvt([["time","patient","hr","spo2"]]+[[iso(T0+10*i+k*86400),h,v[0][i],v[0][i]/2] for k,(h,v) in enumerate(per(("P-001","P-002","P-003")).items()) for i in range(N)])}, {"hr": G, "spo2": G}, hosts=("P-001","P-002","P-003"), episodes=3, every_s=10, start=T0, options=(("--host","patient"),))
case("04_names_seq", {"x.csv": csvt([["time","turbine","rpm","mw"]]+[[iso(T0+10*i+k*86400),h,v[0][i],v[0][i]/2] for k,(h,v) in enumerate(per(("Anna","Berta")).items()) for i in range(N)])}, {"rpm": G, "mw": G}, hosts=("Anna","Berta"), episodes=2, every_s=10, start=T0, options=(("--host","turbine"),))
case("05_numeric_seq", {"x.csv": csvt([["time","meter","volts","amps"]]+[[iso(T0+10*i+k*86400),h,v[0][i],v[0][i]/2] for k,(h,v) in enumerate(per((7001,7002)).items()) for i in range(N)])}, {"volts": G, "amps": G}, hosts=("7001","7002"), episodes=2, every_s=10, start=T0, options=(("--host","meter"),))
case("06_hostport", {"x.csv": csvt([["ts","target","up","scrape_s"]]+[[T0+15*i,h,v[0][i],v[0][i]/50] for i in range(N) for h,v in per(("a:9187","b:9187")).items()])}, {"up": G, "scrape_s": G}, hosts=("a:9187","b:9187"), episodes=2, every_s=15, start=T0, options=(("--host","target"),))
case("07_snmp_wide", {"x.csv": csvt([["time","router-1 in octets","router-1 out octets","router-2 in octets","router-2 out octets"]]+[[z(i),b[i],b2[i],b2[i]*2,b[i]*2] for i in range(N)])}, {"in_octets": C, "out_octets": C}, hosts=("router-1","router-2"), episodes=2)
case("08_wide_plants", {"x.csv": csvt([["time","Anna_rpm","Anna_mw","Berta_rpm","Berta_mw"]]+[[z(i),a[i],a2[i],a2[i],a[i]] for i in range(N)])}, {"rpm": G, "mw": G}, hosts=("Anna","Berta"), episodes=2, corrections=(UNLABELLED,))
case("09_labels_xlsxcsv", {"t.csv": csvt([["Time","CPU","Bytes Out Total"]]+[[iso(T0+10*i,f="%d.%m.%Y %H:%M:%S"),f"{a[i]}".replace(".",","),b[i]] for i in range(N)],";"), "Angriffe.csv": csvt([["Beginn","Ende","Angriff"],[iso(T0+800,f="%d.%m.%Y %H:%M:%S"),iso(T0+1600,f="%d.%m.%Y %H:%M:%S"),"Brute Force"]],";")}, {"cpu": ga(), "bytes_out_total": C}, every_s=10, start=T0, hostile=1/3)
case("10_labels_iso_z_vs_epoch", {"t.csv": csvt([["ts","cpu","tx_bytes"]]+[[(T0+10*i)*1000,a[i],b[i]] for i in range(N)]), "gt.json": json.dumps({"attacks":[{"begin":iso(T0+800,f="%Y-%m-%dT%H:%M:%SZ"),"until":iso(T0+1600,f="%Y-%m-%dT%H:%M:%SZ"),"technique":"T1041"}]})}, {"cpu": ga(), "tx_bytes": C}, every_s=10, start=T0, hostile=1/3)
case("11_label_end_open", {"t.csv": csvt([["ts","cpu","tx_bytes"]]+[[T0+10*i,a[i],b[i]] for i in range(N)]), "l.csv": csvt([["start","end","label"],[T0+800,T0+1600,"dos"],[T0+2000,"","scan"]])}, {"cpu": ga(), "tx_bytes": C}, every_s=10, start=T0, hostile=.5)
case("12_two_label_files", {"t.csv": csvt([["ts","host","cpu"]]+[[T0+10*i,h,v[0][i]] for i in range(N) for h,v in per(("w","x")).items()]), "w_labels.csv": csvt([["start","end","label"],[T0+800,T0+1600,"dos"]]), "x_labels.csv": csvt([["start","end","label"],[T0+0,T0+800,"scan"]])}, {"cpu": G}, hosts=("w","x"), episodes=2, every_s=10, start=T0, hostile=1/3)
case("13_phase_words_mixed_case", {"x.csv": csvt([["time","cpu","Phase"]]+[[z(i),a[i],("Exfil" if i%2 else "exfil") if m[i] else "Benign"] for i in range(N)])}, {"cpu": ga()}, every_s=10, start=T0, hostile=1/3)
case("14_label_float_bool", {"x.csv": csvt([["time","cpu","is_anomaly"]]+[[z(i),a[i],"1.0" if m[i] else "0.0"] for i in range(N)])}, {"cpu": ga()}, every_s=10, start=T0, hostile=1/3)
case("15_sensor_json_arr", {"x.json": json.dumps({"device":"d1","readings":[{"t":z(i),"temp":float(a[i])} for i in range(N)]})}, {"temp": ga()}, every_s=10, start=T0)
case("16_home_assistant", {"x.csv": csvt([["entity_id","state","last_changed"]]+[[e,v[i],iso(T0+60*i,f="%Y-%m-%dT%H:%M:%S.000Z")] for e,v in (("sensor.temp",a),("sensor.hum",a2)) for i in range(N)])}, {"temp": ga(), "hum": G}, every_s=60, start=T0, options=(("--quantity","entity_id"),))
case("17_ms_and_s_mixed_files", {"a.csv": csvt([["ts","host","cpu"]]+[[T0+10*i,"a",a[i]] for i in range(N)]), "b.csv": csvt([["ts","host","cpu"]]+[[(T0+10*i)*1000,"b",a2[i]] for i in range(N)])}, {"cpu": ga()}, hosts=("a","b"), episodes=2, every_s=10, start=T0)
case("18_decimal_mixed_files", {"a.csv": csvt([["time","host","cpu","mem"]]+[[z(i),"a",a[i],a2[i]] for i in range(N)]), "b.csv": csvt([["time","host","cpu","mem"]]+[[z(i),"b",str(a2[i]).replace(".",","),str(a[i]).replace(".",",")] for i in range(N)],";")}, {"cpu": ga(), "mem": G}, hosts=("a","b"), episodes=2, every_s=10, start=T0)
case("19_counter_kib", {"x.csv": csvt([["time","read_kb","write_kb","util%"]]+[[z(i),b[i],b2[i],a[i]] for i in range(N)])}, {"read_kb": C, "write_kb": C, "util_?pct": ga()}, every_s=10, start=T0)
case("20_gaps_hold", {"x.csv": csvt([["time","temp","hum"]]+[[z(i),a[i],a2[i]] for i in range(N) if i%7!=3])}, {"temp": G, "hum": G}, rows=N-len([i for i in range(N) if i%7==3]), every_s=10, start=T0)
case("21_dup_time_same_host", {"x.csv": csvt([["time","host","cpu"]]+[[z(i),"h",a[i]] for i in range(N)]+[[z(5),"h",55.5]])}, {"cpu": G}, hosts=("h",), every_s=10, start=T0)
case("22_leading_index", {"x.csv": csvt([["Unnamed: 0","time","cpu","rx_bytes"]]+[[i,z(i),a[i],b[i]] for i in range(N)])}, {"cpu": ga(), "rx_bytes": C}, every_s=10, start=T0)
case("23_negative_zone", {"x.csv": csvt([["time","cpu"]]+[[dt.datetime.fromtimestamp(T0+10*i,dt.timezone(dt.timedelta(hours=-7))).isoformat(),a[i]] for i in range(N)])}, {"cpu": ga()}, every_s=10, start=T0)
case("24_zeek_ssl_json", {"ssl.log": "\n".join(json.dumps({"ts":T0+i*1.7,"uid":f"C{i}","id.orig_h":"10.0.0.1","id.orig_p":1000+i,"id.resp_h":"1.1.1.1","id.resp_p":443,"version":"TLSv13","established":True}) for i in range(400))}, {r"[.]rows$": Channel("event",total=400)}, rows=0, start=T0, within_s=600, allowed="tls|established|version")
case("25_cloudtrail", {"x.json": json.dumps({"Records":[{"eventTime":iso(T0+i*7,f="%Y-%m-%dT%H:%M:%SZ"),"eventName":["GetObject","ListBuckets"][i%2],"eventSource":"s3.amazonaws.com","sourceIPAddress":"1.2.3.4","userIdentity":{"type":"IAMUser"}} for i in range(400)]})}, {r"[.]rows$": Channel("event",total=400)}, rows=0, start=T0, within_s=600, allowed="getobject|listbuckets|event", options=(("--rows","events"),))
