"""Checkpoints in an object store, by the program, against moto's S3 server with signatures checked.

Run with pytest where moto[server] is installed; TOMOGRAPH_BIN names the program, else the installed console script is taken.
"""

import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request

import pytest

pytest.importorskip("moto")
boto3 = pytest.importorskip("boto3")

DEMO = pathlib.Path(__file__).parents[2] / "fixtures" / "demo"
BUCKET = "models"
# Requests that moto answers before it asks who sends them: a user, its rights, its key, the bucket.
FREE_ACTIONS = 4


def program():
    found = os.environ.get("TOMOGRAPH_BIN") or shutil.which("tomograph", path=os.path.dirname(sys.executable))
    assert found, "no program: set TOMOGRAPH_BIN or install the package"
    return found


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Store:
    """The server, and a user who may read and write."""

    def __init__(self, endpoint):
        self.endpoint = endpoint
        anybody = dict(
            endpoint_url=endpoint, region_name="us-east-1", aws_access_key_id="none", aws_secret_access_key="none"
        )
        iam = boto3.client("iam", **anybody)
        iam.create_user(UserName="reader")
        everything = {"Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}], "Version": "2012-10-17"}
        iam.put_user_policy(UserName="reader", PolicyName="all", PolicyDocument=json.dumps(everything))
        key = iam.create_access_key(UserName="reader")["AccessKey"]
        self.key, self.secret = key["AccessKeyId"], key["SecretAccessKey"]
        boto3.client("s3", **anybody).create_bucket(Bucket=BUCKET)
        signed = {**anybody, "aws_access_key_id": self.key, "aws_secret_access_key": self.secret}
        self.s3 = boto3.client("s3", **signed)
        for side in ("base", "tuned"):
            for file in (DEMO / side).iterdir():
                self.s3.upload_file(str(file), BUCKET, f"demo/{side}/{file.name}")

    def run(self, *arguments, **variables):
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "HF_"))}
        environment |= {
            "AWS_ACCESS_KEY_ID": self.key,
            "AWS_SECRET_ACCESS_KEY": self.secret,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ALLOW_HTTP": "true",
        }
        environment |= variables
        environment = {name: value for name, value in environment.items() if value is not None}
        command = [program(), *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    port = free_port()
    server = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-p", str(port)],
        env={**os.environ, "INITIAL_NO_AUTH_ACTION_COUNT": str(FREE_ACTIONS)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    endpoint = f"http://127.0.0.1:{port}"
    try:
        for _ in range(200):
            try:
                urllib.request.urlopen(f"{endpoint}/moto-api/", timeout=5).read()
                break
            except OSError:
                time.sleep(0.1)
        made = Store(endpoint)
        made.cache = str(tmp_path_factory.mktemp("cache"))
        yield made
    finally:
        server.terminate()
        server.wait()


def map_of(store, folder, *arguments):
    done = store.run("map", *arguments, "--out", folder, XDG_CACHE_HOME=store.cache)
    assert done.returncode == 0, done.stderr
    return json.loads((folder / "map.json").read_text()), done.stderr


def same_scores(ours, theirs):
    for side in (ours, theirs):
        assert side["metrics"] and side["grid"]
    # As text: the same bits are the same digits, and NaN cannot be in it.
    assert json.dumps(ours["metrics"]) == json.dumps(theirs["metrics"])
    assert ours["grid"] == theirs["grid"]
    for key in ("model_digest", "config_digest", "family", "format", "dims"):
        assert ours["provenance"][key] == theirs["provenance"][key], key


def test_a_map_of_weights_equals_the_local_one(store, tmp_path):
    metrics = ["--metric", "rms,stable-rank,err-int4"]
    local, _ = map_of(store, tmp_path / "local", DEMO / "base", *metrics)
    remote, said = map_of(store, tmp_path / "remote", f"s3://{BUCKET}/demo/base", *metrics)
    same_scores(remote, local)
    assert remote["provenance"]["model"] == f"s3://{BUCKET}/demo/base"
    assert re.search(rf"note: [\d.]+ MiB fetched from s3://{BUCKET}/demo/base in \d+ requests", said), said


def test_a_comparison_equals_the_local_one(store, tmp_path):
    metrics = ["--metric", "update-density,delta-relative"]
    local, _ = map_of(store, tmp_path / "local", DEMO / "tuned", "--against", DEMO / "base", *metrics)
    base, tuned = (f"s3://{BUCKET}/demo/{side}" for side in ("base", "tuned"))
    remote, _ = map_of(store, tmp_path / "remote", tuned, "--against", base, *metrics)
    same_scores(remote, local)
    assert remote["provenance"]["against"]["model"] == base


def test_a_model_with_its_tokenizer_runs_as_from_disk(store):
    options = ["--text", DEMO / "prose.jsonl", "--tokens", "256", "--sequence", "64", "--json"]
    local = store.run("perplexity", DEMO / "base", *options)
    remote = store.run("perplexity", f"s3://{BUCKET}/demo/base", *options, XDG_CACHE_HOME=store.cache)
    assert (local.returncode, remote.returncode) == (0, 0), local.stderr + remote.stderr
    wanted = {key: value for key, value in json.loads(local.stdout).items() if key in ("loss", "perplexity", "tokens")}
    assert len(wanted) >= 2
    assert {key: json.loads(remote.stdout)[key] for key in wanted} == wanted


def test_refusals_are_errors_with_a_hint(store, tmp_path):
    address = f"s3://{BUCKET}/demo/base"
    nowhere = f"http://127.0.0.1:{free_port()}"
    none = {"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None, "AWS_METADATA_ENDPOINT": nowhere}
    for address, variables, parts in [
        (address, {"AWS_SECRET_ACCESS_KEY": "wrong"}, ["SignatureDoesNotMatch", "AWS_SECRET_ACCESS_KEY"]),
        (address, none, ["no credentials", "AWS_ACCESS_KEY_ID"]),
        ("s3://nobody/demo", {}, ["NoSuchBucket"]),
        (f"s3://{BUCKET}/nothing", {}, ["no checkpoint at this address"]),
        (address, {"AWS_ENDPOINT_URL": nowhere}, ["could not be asked", "endpoint"]),
        (address, {"AWS_ALLOW_HTTP": None}, ["AWS_ALLOW_HTTP"]),
    ]:
        done = store.run("inspect", address, **variables)
        assert done.returncode == 1, done.stderr
        assert all(part in done.stderr for part in parts), done.stderr
        assert store.secret not in done.stderr and "panicked" not in done.stderr
