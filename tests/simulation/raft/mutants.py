#!/usr/bin/env python3
"""Known-bad Raft cores: each has one rule taken away. The simulation must catch every one of them.

usage: mutants.py --list              the names, one a line
       mutants.py NAME SOURCE OUT     copies the core's sources from SOURCE to OUT, one rule poorer
"""

import pathlib
import sys

SOURCES = ("log.cpp", "core.cpp", "core_follower.cpp", "core_leader.cpp")

# name: (file, the rule, what is there without it)
MUTANTS = {
    "vote-not-durable": (
        "core.cpp",
        "  hold(from, vote_response{durable_.term, granted}, 0);",
        "  out_.messages.push_back({from, vote_response{durable_.term, granted}});",
    ),
    "votes-twice": (
        "core.cpp",
        "durable_.voted_for == 0 || durable_.voted_for == from;",
        "true;",
    ),
    "votes-for-short-logs": (
        "core.cpp",
        "const bool granted = up_to_date && free",
        "const bool granted = (up_to_date || true) && free",
    ),
    "counts-itself-too-early": (
        "core_leader.cpp",
        "majority_of(stable_, [](const progress& p) { return p.match; });",
        "majority_of(log_.last_index(), [](const progress& p) { return p.match; });",
    ),
    "acknowledges-what-was-not-compared": (
        "core_follower.cpp",
        "  answer.match = heartbeat ? std::min(compared, stable_) : compared;",
        "  answer.match = log_.last_index();",
    ),
    "acknowledges-before-the-disk": (
        "core_follower.cpp",
        "  hold(from, answer, answer.match);",
        "  out_.messages.push_back({from, answer});",
    ),
    "commits-what-was-not-compared": (
        "core_follower.cpp",
        "std::max(commit_, std::min(leader_commit, compared));",
        "std::max(commit_, std::min(leader_commit, log_.last_index()));",
    ),
    "does-not-compare-before-entries": (
        "core_follower.cpp",
        "  if (m.prev_index > log_.base().index && log_.term_at(m.prev_index) != m.prev_term) {",
        "  if (m.prev_index > log_.last_index()) {",
    ),
    "keeps-entries-that-conflict": (
        "core_follower.cpp",
        "    if (own == e.term)",
        "    if (own)",
    ),
    "two-changes-at-once": (
        "core_leader.cpp",
        "  if (log_.members_index() > commit_)",
        "  if (log_.members_index() == 0)",
    ),
    "reads-without-asking": (
        "core_leader.cpp",
        "reads_.front().round <= known)",
        "(reads_.front().round <= known || true))",
    ),
    "reads-before-the-first-commit": (
        "core_leader.cpp",
        "  if (!committed_in_term())\n    return;\n  for (auto& r : reads_)",
        "  for (auto& r : reads_)",
    ),
    "old-terms-by-counting": (
        "core_leader.cpp",
        "  if (reached <= commit_ || log_.term_at(reached) != durable_.term)",
        "  if (reached <= commit_)",
    ),
    "truncated-entries-count-as-durable": (
        "core_follower.cpp",
        "      stable_ = std::min(stable_, index - 1);\n"
        "      for (auto& w : open_)\n"
        "        w.last = std::min(w.last, index - 1);\n",
        "",
    ),
    "changes-before-the-first-commit": (
        "core_leader.cpp",
        "transferee_ != 0 || !committed_in_term())",
        "transferee_ != 0)",
    ),
    "snapshot-acknowledged-before-the-disk": (
        "core_follower.cpp",
        "  hold(from, answer, whole->at.index);",
        "  out_.messages.push_back({from, answer});",
    ),
}


def main() -> int:
    if sys.argv[1:] == ["--list"]:
        print("\n".join(MUTANTS))
        return 0
    if len(sys.argv) != 4 or sys.argv[1] not in MUTANTS:
        print(__doc__, file=sys.stderr)
        return 64
    source, out = pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3])
    where, rule, without = MUTANTS[sys.argv[1]]
    out.mkdir(parents=True, exist_ok=True)
    for name in SOURCES:
        text = (source / name).read_text()
        if name == where:
            if text.count(rule) != 1:
                print(f"mutants.py: {sys.argv[1]}: {name} does not have its rule once",
                      file=sys.stderr)
                return 1
            text = text.replace(rule, without)
        (out / name).write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
