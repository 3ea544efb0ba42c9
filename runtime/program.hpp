#pragma once
// What every long-running program of ours has: flags + TOML file + environment under the same
// names,
// --print-config, logging, the secure heap, stop signals, a watchdog for the shutdown.

#include "messages/clock.hpp"
#include "messages/error.hpp"
#include "runtime/exit_codes.hpp"

#include <chrono>
#include <CLI/CLI.hpp>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace custos::runtime {

/// Options every daemon has.
struct common_options {
  std::string log_level = "info";
  std::string log_format = "text";
  std::string ops_listen = "127.0.0.1:0"; ///< /healthz /readyz /metrics; "off" for none
  unsigned threads = 0;                   ///< actor threads; 0: one per core
  unsigned io_threads = 2;
  std::uint32_t secure_heap_bytes = 1U << 20U;
  std::uint32_t drain_s = 10; ///< longest graceful stop
};

/// A command-line application whose options may also come from a TOML file (--config) and from the
/// environment (CUSTOS_<PROGRAM>_<OPTION>); precedence: flag, environment, file, default.
class program {
public:
  /// `name` as in "custos-node"; `examples` is shown at the end of --help.
  program(std::string name, std::string description, std::string examples);

  CLI::App& app() { return app_; }

  /// Adds "--name" with an environment variable and a place in the TOML file.
  template <class T>
  CLI::Option* option(const std::string& flag, T& variable, const std::string& description) {
    return app_.add_option(flag, variable, description)
        ->capture_default_str()
        ->envname(environment_name(flag));
  }
  void add_common(common_options& options);

  /// Parses; a value means: exit with it now (help, version, --print-config, usage error).
  std::optional<int> parse(int argc, const char* const* argv);

private:
  [[nodiscard]] std::string environment_name(const std::string& flag) const;
  [[nodiscard]] std::vector<std::string> with_environment(std::vector<std::string> arguments) const;

  std::string name_;
  CLI::App app_;
  bool print_config_ = false;
};

/// Starts log, secure heap and signal handling; call before any thread is made. Fails only if the
/// options are wrong.
std::optional<int> start_process(const std::string& name, const common_options& options);

/// Tells the service manager that the program is ready, and blocks until SIGINT or SIGTERM. Signals
/// must have been blocked by start_process.
int wait_for_stop_signal();

/// After this the process ends within `limit`, whatever hangs (exit code 70).
void start_shutdown_watchdog(std::chrono::seconds limit);

/// How a program ends that could not start: what only has to wait for something, as for room on the
/// disk, is started again by the service manager; what an administrator has to mend is not.
int exit_code_of_start(const error& why);

/// The system's clock; the only place that reads it.
clock_source system_clock_source();

struct host_port {
  std::string host;
  std::uint16_t port = 0;
};
/// "address:port" or "[v6]:port".
std::optional<host_port> parse_listen(const std::string& text);

/// Number of actor threads for `threads` == 0: one per core, at least 2.
unsigned actor_threads(unsigned configured);

} // namespace custos::runtime
