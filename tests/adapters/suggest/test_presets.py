"""Every preset on a small file of its form: the right values, machines and times."""

import json
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from tests.drafts import T_S, table, write

from phasewatch.adapters import importer
from phasewatch.adapters.suggest import presets, sample
from phasewatch.adapters.suggest.draft import draft_of, suggest
from phasewatch.episode import Episode
from phasewatch.errors import Refused
from phasewatch.store.local import Store


@dataclass(frozen=True)
class Form:
    """A file of the form of a preset: its name and lines, and means or totals of its channels."""

    name: str
    lines: list[str]
    host: str
    means: Mapping[str, object]


def _stamp(at: int) -> str:
    return f"2026-09-21 10:{at // 60:02}:{at % 60:02}"


def _events() -> np.ndarray:
    """Return uneven times of 60 events within ten minutes."""
    return np.sort(np.random.default_rng(3).uniform(0, 600, 60)) + T_S


def zeek() -> Form:
    head = ["#separator \\x09", "#unset_field\t-", "#path\tconn",
            "#fields\tts\tuid\tid.orig_h\tid.resp_h\tduration\torig_bytes\tresp_bytes\torig_pkts",
            "#types\ttime\tstring\taddr\taddr\tinterval\tcount\tcount\tcount"]  # fmt: skip
    rows = [f"{t:.6f}\tC{n}\t10.0.0.5\t10.0.0.9\t{'-' if n % 2 else '0.5'}\t100\t9000\t2"
            for n, t in enumerate(_events())]  # fmt: skip
    totals = {"connections": 60, "duration": 15, "orig_bytes": 6000, "resp_bytes": 540_000,
              "orig_pkts": 120}  # fmt: skip
    return Form("conn.log", head + rows, "network", totals)


def suricata() -> Form:
    rows = []
    for n, t in enumerate(_events()):
        row = {"timestamp": f"{np.datetime64(int(t * 1e6), 'us')}+0000", "flow_id": n,
               "event_type": "flow" if n % 2 else "dns", "src_ip": "a", "dest_ip": "b"}  # fmt: skip
        if n % 2:
            row["flow"] = {"pkts_toserver": 1, "pkts_toclient": 2, "bytes_toserver": 10,
                           "bytes_toclient": 1000}  # fmt: skip
        rows.append(json.dumps(row))
    totals = {"flows": 30, "bytes_toserver": 300, "bytes_toclient": 30_000, "pkts_toserver": 30,
              "pkts_toclient": 60}  # fmt: skip
    return Form("eve.json", rows, "network", totals)


def node_exporter() -> Form:
    def series(name: str, value: Callable[[int], float], **labels: str) -> dict[str, object]:
        values = [[T_S + 15 * at, str(value(at))] for at in range(60)]
        return {"metric": {"__name__": name, "instance": "web1:9100", **labels}, "values": values}

    result = [
        series("node_cpu_seconds_total", lambda at: at * 3.0, mode="user"),
        series("node_cpu_seconds_total", lambda at: at * 9.0, mode="idle"),
        series("node_load1", lambda at: 0.5),
    ]
    answer = {"status": "success", "data": {"resultType": "matrix", "result": result}}
    means = {"cpu_user": 88.5, "cpu_idle": 265.5, "load1": 0.5}
    return Form("query.json", [json.dumps(answer)], "web1:9100", means)


def sadf() -> Form:
    head = "# hostname;interval;timestamp;CPU;%user;%nice;%system;%iowait;%steal;%idle"
    rows = [f"web1;10;{_stamp(at * 10)} UTC;{cpu};{at % 9};0;1;0;0;90"
            for at in range(60) for cpu in (-1, 0)]  # fmt: skip
    memory = ["# hostname;interval;timestamp;kbmemfree;kbavail;kbmemused"]
    memory += [f"web1;10;{_stamp(at * 10)} UTC;4000;5000;{3000 + at}" for at in range(60)]
    means = {"user": np.mean([at % 9 for at in range(60)]), "system": 1, "mem_used": 3029.5}
    return Form("web1.csv", [head, *rows, *memory], "web1", means)


def perfmon() -> Form:
    head = (
        r'"(PDH-CSV 4.0) (CEST)(-120)","\\WEB1\Processor(_Total)\% Processor Time",'
        r'"\\WEB1\Memory\Available MBytes","\\WEB1\Network Interface(net0)\Bytes Received/sec"'
    )
    stamps = [f"09/21/2026 12:{at // 12:02}:{at % 12 * 5:02}.000" for at in range(60)]
    rows = [f'"{stamp}","{at % 9},5","3000","7,5"'
            for at, stamp in enumerate(stamps)]  # fmt: skip
    means = {"cpu": np.mean([at % 9 + 0.5 for at in range(60)]), "mem_available_mbytes": 3000,
             "received": 7.5}  # fmt: skip
    return Form("web1.csv", [head.replace('","', '";"'), *(r.replace('","', '";"') for r in rows)],
                "WEB1", means)  # fmt: skip


def cicflowmeter() -> Form:
    head = "Flow ID, Src IP, Dst IP, Timestamp, Flow Duration, Tot Fwd Pkts, Flow Bytes/s, Label"
    rows = [f"f{n},10.0.0.5,10.0.0.9,05/07/2023 10:{n // 6:02}:{n % 6 * 10:02},1000,3,Infinity,"
            + ("Web Attack – XSS" if 20 <= n < 40 else "BENIGN") for n in range(60)]  # fmt: skip
    return Form("flows.csv", [head, *rows], "network",
                {"flows": 60, "duration": 60_000, "fwd_packets": 180})  # fmt: skip


def libvirt() -> Form:
    head = "time,domain,cpu.time,balloon.current,net.0.rx.bytes"
    rows = [f"{T_S + at * 5},vm1,{at * 10**9},2097152,{at * 100}" for at in range(60)]
    means = {"cpu_time": 29.5e9, "balloon": 2_097_152, "rx": 2950}
    return Form("domstats.csv", [head, *rows], "vm1", means)


def telegraf() -> Form:
    rows = []
    for at in range(60):
        for name, tags, fields in (
            ("cpu", {"cpu": "cpu-total"}, {"usage_user": at % 9, "usage_idle": 50}),
            ("cpu", {"cpu": "cpu0"}, {"usage_user": 99, "usage_idle": 1}),
            ("mem", {}, {"used_percent": 40}),
            ("swap", {}, {"used_percent": 7}),
            ("net", {"interface": "eth0"}, {"bytes_recv": at * 100}),
        ):
            tagged = {"host": "web1", **tags}
            row = {"fields": fields, "name": name, "tags": tagged, "timestamp": T_S + at * 10}
            rows.append(json.dumps(row))
    means = {"cpu_user": np.mean([at % 9 for at in range(60)]), "mem_used": 40, "swap_used": 7,
             "rx": 2950}  # fmt: skip
    return Form("metrics.json", rows, "web1", means)


def otlp() -> Form:
    def point(at: int, value: float, **attributes: str) -> dict[str, object]:
        listed = [{"key": key, "value": {"stringValue": text}} for key, text in attributes.items()]
        stamp = f"{T_S + at * 10}000000000"
        return {"timeUnixNano": stamp, "asDouble": value, "attributes": listed}

    rows = []
    for at in range(60):
        metrics = [
            {"name": "system.cpu.time", "sum": {"isMonotonic": True, "dataPoints": [
                point(at, at * 3, state="user"), point(at, at * 9, state="idle")]}},
            {"name": "system.memory.usage",
             "gauge": {"dataPoints": [point(at, 5e9, state="used")]}},
        ]  # fmt: skip
        resource = {"attributes": [{"key": "host.name", "value": {"stringValue": "web1"}}]}
        scope = [{"metrics": metrics}]
        rows.append(
            json.dumps({"resourceMetrics": [{"resource": resource, "scopeMetrics": scope}]})
        )
    return Form("otlp.jsonl", rows, "web1", {"cpu_user": 88.5, "cpu_idle": 265.5, "mem_used": 5e9})


def falco() -> Form:
    rows = []
    for t in _events():
        row = {"hostname": "web1", "output": "x", "priority": "Warning", "rule": "r",
               "time": f"{np.datetime64(int(t * 1e9), 'ns')}Z"}  # fmt: skip
        rows.append(json.dumps(row | {"output_fields": {"evt.time": int(t * 1e9)}}))
    return Form("falco.jsonl", rows, "web1", {"alerts": 60, "errors": 0, "warnings": 60})


FORMS: dict[str, Callable[[], Form]] = {
    "zeek-conn": zeek, "suricata-eve": suricata, "node-exporter": node_exporter, "sadf": sadf,
    "perfmon": perfmon, "cicflowmeter": cicflowmeter, "libvirt-domstats": libvirt,
    "telegraf": telegraf, "otlp": otlp, "falco": falco,
}  # fmt: skip


def made(name: str, folder: Path) -> tuple[Form, Path]:
    """Write the file of a preset's form into a folder; return both."""
    form = FORMS[name]()
    write(folder / form.name, "", form.lines)
    return form, folder


def imported(name: str, source: Path, out: Path, **options: object) -> Iterator[Episode]:
    """Import a source by a preset, and yield its episodes."""
    fitted = presets.fit(presets.load(name), sample.read(source), **options)  # type: ignore[arg-type]
    store = Store.create(out, fitted.schema)
    for report in importer.import_files(source, fitted.mapping, store):
        for one in report.episodes:
            assert one.verdict == "accepted", one.reasons
            yield store.read(one.id)


def test_every_preset_has_a_form_here() -> None:
    assert presets.names() == sorted(FORMS)


@pytest.mark.parametrize("name", FORMS)
def test_values_of_every_preset(name: str, tmp_path: Path) -> None:
    form, source = made(name, tmp_path / "source")
    phase = "" if name == "cicflowmeter" else "benign"
    (episode,) = imported(name, source, tmp_path / "store", phase=phase)
    assert episode.host == form.host
    (samples,) = episode.sources.values()
    found = {one.partition(".")[2]: samples.values[:, n] for n, one in enumerate(samples.names)}
    kinds = {row[0]: row[2] for row in _channels(name)}
    for channel, right in form.means.items():
        value = np.nansum if kinds[channel] == "event" else np.nanmean
        assert value(found[channel]) == pytest.approx(right), channel


def _channels(name: str) -> list[list[str]]:
    (source,) = tomllib.loads(presets.load(name).schema)["sources"].values()
    return list(source["channels"])


def test_perfmon_is_read_in_its_zone_and_with_decimal_commas(tmp_path: Path) -> None:
    _, source = made("perfmon", tmp_path / "source")
    (episode,) = imported("perfmon", source, tmp_path / "store", phase="benign")
    assert episode.sources["windows"].t_wall_ns[0] == 1_789_984_800 * 10**9  # 10:00 UTC


def test_flows_are_dated_day_first_and_labelled_by_rules(tmp_path: Path) -> None:
    _, source = made("cicflowmeter", tmp_path / "source")
    (episode,) = imported("cicflowmeter", source, tmp_path / "store")
    assert [label.phase for label in episode.labels] == ["benign", "web-attack", "benign"]
    assert episode.start_ns // 10**9 == 1_688_551_200  # 5 July 2023, 10:00


@pytest.mark.parametrize("name", FORMS)
def test_a_draft_says_that_its_preset_fits(name: str, tmp_path: Path) -> None:
    _, source = made(name, tmp_path)
    assert any(f"--preset {name}" in remark for remark in suggest(source).remarks)


def test_other_tables_fit_no_preset(tmp_path: Path) -> None:
    path = table(tmp_path / "a.csv", "ts,duration,x", lambda at: f"{T_S + at},{at % 3},{at % 7}")
    assert presets.fitting(sample.read(path)) == ""
    with pytest.raises(Refused, match="has no column orig_bytes"):
        presets.fit(presets.load("zeek-conn"), sample.read(path))


def test_the_other_preset_is_named(tmp_path: Path) -> None:
    _, source = made("falco", tmp_path)
    with pytest.raises(Refused, match="Use --preset falco"):
        presets.fit(presets.load("sadf"), sample.read(source))


def test_a_phase_must_be_said(tmp_path: Path) -> None:
    _, source = made("zeek-conn", tmp_path / "source")
    with pytest.raises(Refused, match="--phase benign"):
        presets.fit(presets.load("zeek-conn"), sample.read(source))
    (episode,) = imported("zeek-conn", source, tmp_path / "store", phase="scan")
    assert [label.phase for label in episode.labels] == ["scan"]


def test_labels_of_a_file_become_phases(tmp_path: Path) -> None:
    _, source = made("telegraf", tmp_path / "source")
    labels = write(tmp_path / "labels.csv", "start,end,label", [f"{T_S + 200},{T_S + 400},scan"])
    (episode,) = imported("telegraf", source, tmp_path / "store", labels=labels)
    assert [label.phase for label in episode.labels] == ["benign", "scan", "benign"]


def test_channels_that_no_file_has_are_left_out(tmp_path: Path) -> None:
    _, source = made("sadf", tmp_path)
    fitted = presets.fit(presets.load("sadf"), sample.read(source), "benign")
    assert "sysstat.load1" in fitted.absent
    assert "sysstat.load1" not in fitted.schema.names


def test_the_files_of_a_preset_can_be_drafts() -> None:
    found = draft_of("falco")
    assert 'value = "?"' in found.mapping
    assert found.questions
    with pytest.raises(Refused, match="is unknown"):
        draft_of("nagios")


def test_labels_inside_the_folder_are_no_table(tmp_path: Path) -> None:
    _, source = made("telegraf", tmp_path / "source")
    labels = write(source / "labels.csv", "start,end,label", [f"{T_S + 200},{T_S + 400},scan"])
    (episode,) = imported("telegraf", source, tmp_path / "store", labels=labels)
    assert [label.phase for label in episode.labels] == ["benign", "scan", "benign"]


@pytest.mark.parametrize(
    ("cpu", "memory", "received"),
    [
        (r"Prozessor(_Total)\Prozessorzeit (%)", r"Arbeitsspeicher\Verfügbare MB",
         r"Netzwerkschnittstelle(net0)\Empfangene Bytes/s"),
        (r"Processeur(_total)\% temps processeur", r"Mémoire\Mégaoctets disponibles",
         r"Interface réseau(net0)\Octets reçus/s"),
    ],
)  # fmt: skip
def test_counters_of_perfmon_may_have_german_and_french_names(
    cpu: str, memory: str, received: str, tmp_path: Path
) -> None:
    names = ((r"Processor(_Total)\% Processor Time", cpu), (r"Memory\Available MBytes", memory),
             (r"Network Interface(net0)\Bytes Received/sec", received))  # fmt: skip
    text = "\n".join(perfmon().lines)
    for english, other in names:
        text = text.replace(english, other)
    (tmp_path / "web1.csv").write_text(text, encoding="utf-8")
    found = presets.fit(presets.load("perfmon"), sample.read(tmp_path), "benign")
    measured = {"windows.cpu", "windows.mem_available_mbytes", "windows.received"}
    assert set(found.schema.names) == measured


def test_other_logs_of_a_host_are_none_of_falco(tmp_path: Path) -> None:
    rows = [f'{{"time": "{_stamp(at)}Z", "hostname": "a", "program": "sshd"}}' for at in range(30)]
    (tmp_path / "a.jsonl").write_text("\n".join(rows))
    assert presets.fitting(sample.read(tmp_path)) == ""
