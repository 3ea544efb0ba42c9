// Runs many histories and says what came of them. Exit codes: 0 no violation, 1 a violation (its
// seed is printed), 64 wrong arguments, 70 a defect. With --expect-violation 0 and 1 change places.

#include "tests/simulation/raft/world.hpp"

#include <CLI/CLI.hpp>

#include <chrono>
#include <cstdio>
#include <exception>

int main(int argc, char** argv) try {
  using namespace custos::raft::simulation;
  std::uint64_t histories = 1000;
  std::uint64_t seed = 1;
  unsigned replicas = 0;
  std::uint64_t seconds = 0;
  bool expect_violation = false;
  CLI::App app("Simulated histories of the replicated log. One seed, one history, to the byte.");
  app.add_option("--histories", histories, "how many")->capture_default_str();
  app.add_option("--seed", seed, "of the first; the others follow")->capture_default_str();
  app.add_option("--replicas", replicas, "3 or 5; by default 3 for odd and 5 for even seeds");
  app.add_option("--seconds", seconds, "stop after so many seconds; 0: never")
      ->capture_default_str();
  app.add_flag("--expect-violation", expect_violation, "a known-bad core: it must be caught");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? 0 : 64;
  }

  const auto began = std::chrono::steady_clock::now();
  const auto taken = [&] {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
  };
  history_outcome sum;
  std::uint64_t done = 0;
  std::string violation;
  for (; done < histories && violation.empty(); ++done) {
    if (seconds != 0 && taken() >= static_cast<double>(seconds))
      break;
    history_options o;
    o.seed = seed + done;
    o.replicas = replicas != 0 ? replicas : o.seed % 2 == 1 ? 3 : 5;
    const auto h = run_history(o);
    violation = h.violation;
    sum.acknowledged += h.acknowledged;
    sum.reads += h.reads;
    sum.crashes += h.crashes;
    sum.partitions += h.partitions;
    sum.elections += h.elections;
    sum.changes += h.changes;
    sum.snapshots += h.snapshots;
    sum.ended_at += h.ended_at;
    sum.steps += h.steps;
    if ((done + 1) % 10000 == 0)
      std::fprintf(stderr, "%llu histories, %.0f s\n", static_cast<unsigned long long>(done + 1),
                   taken());
  }
  std::printf(
      "%llu histories from seed %llu in %.1f s: %.1f virtual hours, %llu writes, %llu reads,"
      " %llu crashes, %llu partitions, %llu leaders, %llu membership changes, %llu starts "
      "and restored snapshots, %llu steps\n",
      static_cast<unsigned long long>(done), static_cast<unsigned long long>(seed), taken(),
      static_cast<double>(sum.ended_at) / 3.6e6, static_cast<unsigned long long>(sum.acknowledged),
      static_cast<unsigned long long>(sum.reads), static_cast<unsigned long long>(sum.crashes),
      static_cast<unsigned long long>(sum.partitions),
      static_cast<unsigned long long>(sum.elections), static_cast<unsigned long long>(sum.changes),
      static_cast<unsigned long long>(sum.snapshots), static_cast<unsigned long long>(sum.steps));
  if (violation.empty())
    std::printf("no violation\n");
  else
    std::printf("VIOLATION in seed %llu: %s\n", static_cast<unsigned long long>(seed + done - 1),
                violation.c_str());
  return violation.empty() == expect_violation ? 1 : 0;
} catch (const std::exception& e) {
  std::fprintf(stderr, "raft-simulate: %s\n", e.what());
  return 70;
}
