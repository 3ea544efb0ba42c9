"""A copy of a node's data directory is started beside the original: the cluster notices that two
processes have one identity, both end, and the others go on."""

import argparse
import json
import pathlib
import shutil
import sys
import tempfile

from stack import Failed, Stack, wait_for
from torture_clients import Caller

EXIT_UNAVAILABLE = 69


def run(stack):
    stack.init_cluster("n1")
    stack.join("n2", "n1")
    stack.join("n3", "n1")
    stack.wait_voters(["n1", "n2", "n3"])
    if stack.stop("n3") != 0:
        raise Failed("n3 did not end as it should")
    shutil.copytree(stack.nodes["n3"]["dir"], stack.folder / "copy")
    stack.start_node("n3")
    stack.wait_voters(["n1", "n2", "n3"])
    stack.new_node("copy")
    stack.launch_node("copy")
    for name in ("n3", "copy"):
        child = stack.children[name]
        code = wait_for(f"{name} ends", lambda: child.poll() is not None and (child.returncode,))[0]
        del stack.children[name]
        events = [json.loads(line) for line in stack.log_of(name).splitlines()]
        clash = [e for e in events if e["event"] == "cluster.identity_clash"]
        if code != EXIT_UNAVAILABLE or not clash:
            raise Failed(f"{name} ended with {code}, its log:\n{stack.log_of(name)}")
        print(f"{name} ended with {code}: {clash[0]['detail']}")
    caller = Caller(stack.admin, {"n1": stack.nodes["n1"]["port"]})
    answer = caller.call("n1", "PUT", "/config/v1/denials/clash", {"model": "m"})
    caller.close()
    if answer.status != 200:
        raise Failed(f"two of three nodes take no change: {answer.status} {answer.body}")
    # The original alone is welcome again.
    stack.start_node("n3")
    stack.wait_voters(["n1", "n2", "n3"])


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--binaries", type=pathlib.Path, required=True, help="where custos is")
    folder = tempfile.mkdtemp(prefix="custos-clash-")
    stack = Stack(folder, parser.parse_args().binaries.resolve())
    try:
        run(stack)
    except Failed as e:
        print(f"identity clash: FAILED: {e}\n(the logs are in {folder})", file=sys.stderr)
        return 1
    finally:
        stack.close()
    shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
