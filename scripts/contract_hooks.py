#!/usr/bin/env python3
"""What `scripts/contract` adds to schemathesis: bodies that are no JSON, and a sandbox that is there to be asked.

As a program it makes that sandbox (`prepare`) and removes every one (`remove`).
"""

import io
import itertools
import json
import os
import pathlib
import sys
import tarfile
import time
import urllib.error
import urllib.request

SANDBOX = "contract"
"""The sandbox that most requests are about. Without one every answer would be 404."""


def call(work, method, path, body=None):
    """Asks the server that `scripts/contract` started; gives the answer, or `None` where it is a problem."""
    request = urllib.request.Request(
        (work / "url").read_text() + path,
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={
            "Authorization": "Bearer " + (work / "data/token").read_text().strip(),
            "Content-Type": "application/json",
        },
    )
    try:
        with urllib.request.urlopen(request, timeout=120) as answer:
            return json.loads(answer.read() or b"{}")
    except urllib.error.HTTPError as problem:
        print(f"contract: {method} {path}: {problem.read().decode()}", file=sys.stderr)
        return None


def create(work):
    project = os.environ["CONTRACT_PROJECT"]
    source = {"kind": "directory", "path": project}
    made = call(work, "POST", "/v1/sandboxes", {"name": SANDBOX, "source": source})
    # An exec that has ended, and changes of every kind.
    script = "echo said; echo warned >&2; echo changed >changed; mkdir new; echo new >new/file; rm removed"
    ran = call(
        work, "POST", f"/v1/sandboxes/{SANDBOX}/execs", {"argv": ["/bin/sh", "-c", script], "wait": True}
    )
    return made is not None and ran is not None and ran["exit_code"] == 0 and ran["id"]


def prepare(work):
    deadline = time.monotonic() + 30
    while True:
        found = [line for line in (work / "server.log").read_text().splitlines() if '"tcp":"' in line]
        found += [line for line in (work / "server.out").read_text().splitlines() if '"tcp":"' in line]
        if found:
            break
        if time.monotonic() > deadline:
            sys.exit("contract: the server does not listen")
        time.sleep(0.05)
    (work / "url").write_text("http://" + json.loads(found[0])["tcp"])
    project = pathlib.Path(os.environ["CONTRACT_PROJECT"])
    (project / "changed").write_text("before\n")
    (project / "removed").write_text("going\n")
    (project / "sandbox.yaml").write_text("version: 1\nweb: {}\n")
    exec_id = create(work)
    if not exec_id:
        sys.exit("contract: the sandbox to ask about could not be made")
    (work / "exec").write_text(exec_id)


def remove(work):
    while True:
        page = call(work, "GET", "/v1/sandboxes?limit=200")
        if page is None:
            sys.exit(1)
        gone = [call(work, "DELETE", f"/v1/sandboxes/{found['id']}") for found in page["items"]]
        if not page["items"]:
            return
        if not any(gone_one is not None for gone_one in gone):
            sys.exit(1)


def register():
    import schemathesis
    from schemathesis.generation import GenerationMode

    work = pathlib.Path(os.environ["CONTRACT_WORK"])
    exec_id = (work / "exec").read_text()

    @schemathesis.serializer("application/x-tar")
    def tar(ctx, value):
        """The value as the one file of an archive."""
        content = value if isinstance(value, bytes) else str(value).encode(errors="ignore")
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w") as archive:
            member = tarfile.TarInfo("from-archive")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
        return {"data": out.getvalue()}

    @schemathesis.deserializer("application/octet-stream", "application/x-tar")
    def text(ctx, response):
        """Bytes, one character for each: a string, as the document says."""
        return response.content.decode("latin-1")

    requests = itertools.count()

    @schemathesis.hook
    def before_call(ctx, case, kwargs):
        """Has each idempotency key be its own in three of four requests: the same few would be refused as used before."""
        key = (case.headers or {}).get("Idempotency-Key")
        if key is None or case.meta is None:
            return
        header = [info.mode for where, info in case.meta.components.items() if where.value == "header"]
        number = next(requests)
        if GenerationMode.NEGATIVE not in header and number % 4:
            case.headers["Idempotency-Key"] = f"{key[:200]}{number}"

    @schemathesis.hook("before_call")
    def ask_about_what_is_there(ctx, case, kwargs):
        """Has three of four requests ask about what is there; the rest ask about what nobody made."""
        parameters = case.path_parameters
        if not parameters or case.meta is None:
            return
        path = [info.mode for where, info in case.meta.components.items() if where.value == "path"]
        if GenerationMode.NEGATIVE in path or sum(str(parameters).encode()) % 4 == 0:
            return
        there = {"exec": exec_id, "process": "web", "tenant": "default"}
        # Never the one that all others ask about.
        if case.method.upper() != "DELETE" or not case.path.endswith("{sandbox}"):
            there["sandbox"] = SANDBOX
        for name, value in there.items():
            if name in parameters:
                parameters[name] = value


if __name__ == "__main__":
    {"prepare": prepare, "remove": remove}[sys.argv[1]](pathlib.Path(sys.argv[2]))
elif "CONTRACT_WORK" in os.environ:
    register()
