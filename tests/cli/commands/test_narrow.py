"""`narrow` and `dropout` as they are typed."""

from pathlib import Path

from tests.cli.invoke import Run, refused

from phasewatch.store.local import Store


def test_a_store_is_narrowed_to_a_shipped_schema(
    run: Run, toy_store: Store, tmp_path: Path
) -> None:
    out = tmp_path / "narrow"
    command = ("narrow", "--store", toy_store.root, "--out", out, "--schema")
    code, printed, _ = run(*command, "vm29")
    assert code == 0 and f"{len(toy_store.ids())} episodes with 29 channels" in printed
    assert Store.open(out).schema.name == "vm29"
    assert "one of cgroup, host, vm29, vm46" in refused(run(*command, "vm30"))
    assert "none.toml" in refused(run(*command, tmp_path / "none.toml"))


def test_scores_without_channels_are_printed_and_kept(
    run: Run, toy_store: Store, bundle_folder: Path
) -> None:
    command = ("dropout", bundle_folder, "--store", toy_store.root)
    code, printed, _ = run(*command, "--without", "proc.rss,proc.utime")
    assert code == 0 and "dropout.json" in printed and "macro F1" in printed
    assert (bundle_folder / "dropout.json").exists()
    assert "--without moon: is no channel" in refused(run(*command, "--without", "moon"))
