// Runs many histories and says what came of them. Exit codes: 0 no violation, 1 a violation (its
// seed is printed), 64 wrong arguments, 70 a defect. With --expect-violation 0 and 1 change places.

#include "tests/simulation/raft/runner.hpp"

#include <CLI/CLI.hpp>

#include <cstdio>
#include <exception>

namespace {

using namespace custos::raft::simulation;

void report(const run_options& options, const run_outcome& done) {
  const auto& sum = done.counts;
  const auto n = [](std::uint64_t x) { return static_cast<unsigned long long>(x); };
  std::printf("%.1f virtual hours, %llu writes, %llu reads, %llu crashes, %llu partitions, %llu "
              "leaders, %llu membership changes, %llu starts and restored snapshots, %llu steps\n",
              static_cast<double>(sum.virtual_time) / 3.6e6, n(sum.acknowledged), n(sum.reads),
              n(sum.crashes), n(sum.partitions), n(sum.elections), n(sum.changes), n(sum.snapshots),
              n(sum.steps));
  if (!options.judge_liveness)
    std::printf("%llu histories did not become well, which is not judged\n", n(done.stuck));
  if (done.violation.empty())
    std::printf("no violation");
  else
    std::printf("VIOLATION in seed %llu: %s", n(done.violating_seed), done.violation.c_str());
  // With several jobs, or an end before all were done, the last seeds may not have been reached.
  std::printf(": %llu histories of the seeds %llu to %llu in %.1f s\n", n(done.histories),
              n(options.seed), n(options.seed + options.histories - 1), done.seconds);
}

} // namespace

int main(int argc, char** argv) try {
  run_options options;
  bool expect_violation = false;
  bool safety_only = false;
  std::string trouble;
  CLI::App app("Simulated histories of the replicated log. One seed, one history, to the byte.");
  app.add_option("--histories", options.histories, "how many")->capture_default_str();
  app.add_option("--seed", options.seed, "of the first; the others follow")->capture_default_str();
  app.add_option("--replicas", options.replicas, "by default 3 for odd and 5 for even seeds")
      ->check(CLI::Range(1, 7));
  app.add_option("--seconds", options.seconds, "stop after so many seconds; 0: never")
      ->capture_default_str();
  app.add_option("--jobs", options.jobs, "processes at once")
      ->capture_default_str()
      ->check(CLI::Range(1U, jobs_max));
  app.add_option("--trouble", trouble,
                 "mixed, storm, disks, churn, snapshots or calm; by default drawn from the seed");
  app.add_flag("--safety-only", safety_only, "a cluster that does not become well is no violation");
  app.add_flag("--expect-violation", expect_violation, "a known-bad core: it must be caught");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? 0 : 64;
  }
  options.judge_liveness = !safety_only;
  options.trouble = profile_named(trouble);
  if (!trouble.empty() && !options.trouble) {
    std::fprintf(stderr, "raft-simulate: no trouble '%s'\n", trouble.c_str());
    return 64;
  }

  const auto done = run_histories(options);
  report(options, done);
  if (!done.defect.empty()) {
    std::fprintf(stderr, "raft-simulate: %s\n", done.defect.c_str());
    return 70;
  }
  return done.violation.empty() == expect_violation ? 1 : 0;
} catch (const std::exception& e) {
  std::fprintf(stderr, "raft-simulate: %s\n", e.what());
  return 70;
}
