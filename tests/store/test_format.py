"""A manifest begins with its format, which is validated before all else."""

import json

import pytest
from tests import toy

from phasewatch.errors import Refused
from phasewatch.store.format import MANIFEST, encode_episode, parse_manifest


def test_a_manifest_begins_with_its_format_and_the_names_of_the_episode() -> None:
    data = encode_episode(toy.episode())[MANIFEST]
    first = ["format", "id", "host", "sample", "profile", "campaign", "start_ns", "end_ns"]
    assert list(json.loads(data))[: len(first)] == first


def test_another_format_is_named_whatever_else_is_wrong() -> None:
    with pytest.raises(Refused) as caught:
        parse_manifest(b'{"format": 2}', "a", "manifest.json")
    assert caught.value.code == "format_newer"


@pytest.mark.parametrize("name", ["host", "sample", "profile", "campaign"])
def test_an_empty_name_is_refused(name: str) -> None:
    value = json.loads(encode_episode(toy.episode())[MANIFEST])
    with pytest.raises(Refused, match=rf"manifest.json: {name}"):
        parse_manifest(json.dumps({**value, name: ""}).encode(), value["id"], "manifest.json")
