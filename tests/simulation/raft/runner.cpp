#include "tests/simulation/raft/runner.hpp"

#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <new>
#include <stdexcept>

namespace custos::raft::simulation {

namespace {

using steady = std::chrono::steady_clock;

constexpr std::uint64_t progress_every = 10000;
constexpr std::size_t text_bytes_max = 512;

/// What one job has to say, in memory that all processes share; plain, so that it outlives the job.
struct job_state {
  std::uint64_t seed = 0; ///< under way
  std::uint64_t histories = 0;
  std::uint64_t stuck = 0;
  history_counts counts;
  std::uint64_t violating_seed = 0;
  std::array<char, text_bytes_max> violation{};
};

struct shared_state {
  std::atomic<std::uint64_t> histories = 0;
  std::atomic<bool> stop = false;
  std::array<job_state, jobs_max> jobs{};
};

/// The memory that parent and children share.
class shared_memory {
public:
  shared_memory() {
    auto* const at = mmap(nullptr, sizeof(shared_state), PROT_READ | PROT_WRITE,
                          MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED)
      throw std::runtime_error("no memory to share");
    state_ = new (at) shared_state();
  }
  shared_memory(const shared_memory&) = delete;
  shared_memory& operator=(const shared_memory&) = delete;
  ~shared_memory() { munmap(state_, sizeof(shared_state)); }

  shared_state& operator*() const { return *state_; }

private:
  shared_state* state_;
};

double since(steady::time_point began) {
  return std::chrono::duration<double>(steady::now() - began).count();
}

void judge(job_state& mine, const history_outcome& h, const run_options& options) {
  auto violation = h.violation;
  if (violation.empty() && !h.stuck.empty()) {
    if (options.judge_liveness)
      violation = h.stuck;
    else
      ++mine.stuck;
  }
  if (violation.empty())
    return;
  violation += " (" + std::string(name_of(h.trouble)) + ")";
  violation.resize(std::min(violation.size(), text_bytes_max - 1));
  std::memcpy(mine.violation.data(), violation.c_str(), violation.size() + 1);
  mine.violating_seed = mine.seed;
}

void run_job(shared_state& all, unsigned job, const run_options& options,
             steady::time_point began) {
  auto& mine = all.jobs.at(job);
  for (auto n = std::uint64_t{job}; n < options.histories && !all.stop; n += options.jobs) {
    if (options.seconds != 0 && since(began) >= static_cast<double>(options.seconds))
      return;
    mine.seed = options.seed + n;
    history_options o;
    o.seed = mine.seed;
    o.replicas = options.replicas != 0 ? options.replicas : o.seed % 2 == 1 ? 3 : 5;
    o.trouble = options.trouble;
    const auto h = run_history(o);
    ++mine.histories;
    mine.counts += h.counts;
    judge(mine, h, options);
    if (mine.violating_seed != 0)
      all.stop = true;
    if (const auto done = ++all.histories; done % progress_every == 0)
      std::fprintf(stderr, "%llu histories, %.0f s\n", static_cast<unsigned long long>(done),
                   since(began));
  }
}

/// Returns what is wrong with how a process ended; empty: nothing.
std::string end_of(int status) {
  if (WIFSIGNALED(status))
    return "died of signal " + std::to_string(WTERMSIG(status));
  return WEXITSTATUS(status) == 0 ? "" : "ended with " + std::to_string(WEXITSTATUS(status));
}

void run_in_processes(shared_state& all, const run_options& options, steady::time_point began,
                      std::string& defect) {
  std::array<pid_t, jobs_max> children{};
  std::fflush(nullptr);
  for (unsigned job = 0; job < options.jobs; ++job) {
    const auto pid = fork();
    if (pid < 0) {
      all.stop = true;
      defect = "cannot start a process";
      break;
    }
    if (pid == 0) {
      run_job(all, job, options, began);
      _exit(0);
    }
    children.at(job) = pid;
  }
  for (unsigned job = 0; job < options.jobs && children.at(job) != 0; ++job) {
    int status = 0;
    if (waitpid(children.at(job), &status, 0) < 0)
      throw std::runtime_error("a process cannot be waited for");
    if (const auto end = end_of(status); !end.empty()) {
      all.stop = true;
      defect = "the process of seed " + std::to_string(all.jobs.at(job).seed) + " " + end;
    }
  }
}

} // namespace

run_outcome run_histories(const run_options& options) {
  const auto began = steady::now();
  const shared_memory memory;
  auto& all = *memory;
  run_outcome sum;
  if (options.jobs == 1)
    run_job(all, 0, options, began);
  else
    run_in_processes(all, options, began, sum.defect);
  for (const auto& job : all.jobs) {
    sum.histories += job.histories;
    sum.stuck += job.stuck;
    sum.counts += job.counts;
    if (job.violating_seed == 0 ||
        (sum.violating_seed != 0 && sum.violating_seed < job.violating_seed))
      continue;
    sum.violating_seed = job.violating_seed;
    sum.violation = job.violation.data();
  }
  sum.seconds = since(began);
  return sum;
}

} // namespace custos::raft::simulation
