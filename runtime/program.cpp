#include "runtime/program.hpp"

#include "adapters/crypto/secret_bytes.hpp"
#include "runtime/log.hpp"
#include "runtime/notify.hpp"

#include <algorithm>
#include <atomic>
#include <charconv>
#include <csignal>
#include <cstdlib>
#include <iostream>
#include <sstream>
#include <thread>

namespace custos::runtime {

program::program(std::string name, std::string description, std::string examples)
    : name_(std::move(name)), app_(std::move(description), name_) {
  app_.footer("\nExamples:\n" + examples +
              "\nExit codes: 0 ok, 1 refused, 64 usage, 65 bad data, 66 no input, 69 unavailable,\n"
              "70 internal, 73 cannot create, 77 denied, 78 configuration.");
  app_.set_version_flag("--version", std::string(name_) + " " + CUSTOS_VERSION);
  app_.set_config("--config", "", "TOML file with the same names as the flags")
      ->envname(environment_name("--config"));
  app_.allow_config_extras(CLI::config_extras_mode::error);
  app_.add_flag("--print-config", print_config_,
                "Print the configuration in force as TOML and exit")
      ->configurable(false);
}

std::string program::environment_name(const std::string& flag) const {
  std::string result = name_;
  const auto start = flag.rfind("--");
  result += '_';
  result += start == std::string::npos ? flag : flag.substr(start + 2);
  std::replace(result.begin(), result.end(), '-', '_');
  std::transform(result.begin(), result.end(), result.begin(), [](char c) {
    return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  });
  return result;
}

void program::add_common(common_options& o) {
  option("--log-level", o.log_level, "Least level logged")
      ->check(CLI::IsMember({"debug", "info", "warning", "error"}));
  option("--log-format", o.log_format, "Form of the log lines on standard error")
      ->check(CLI::IsMember({"text", "json"}));
  option("--ops-listen", o.ops_listen,
         "Loopback address:port of /healthz /readyz /metrics, or off");
  option("--threads", o.threads, "Actor threads; 0: one per core")->check(CLI::Range(0, 256));
  option("--io-threads", o.io_threads, "Socket threads")->check(CLI::Range(1, 64));
  option("--secure-heap-bytes", o.secure_heap_bytes, "Locked memory for secrets, a power of two")
      ->check(CLI::Range(65536, 1 << 30));
  option("--drain-seconds", o.drain_s, "Longest graceful stop")->check(CLI::Range(1, 600));
}

/// The arguments with, in front of them, the environment's value of every flag that is not among
/// them: CLI11 would let the file win over the environment.
std::vector<std::string> program::with_environment(std::vector<std::string> arguments) const {
  std::vector<std::string> out;
  // What follows belongs to another program.
  const auto own_end = std::find(arguments.begin(), arguments.end(), "--");
  for (const auto* const o : app_.get_options()) {
    const auto variable = o->get_envname();
    const char* const value = variable.empty() ? nullptr : std::getenv(variable.c_str());
    if (value == nullptr || *value == '\0' || o == app_.get_config_ptr())
      continue;
    const auto flag = o->get_name();
    const bool given = std::any_of(arguments.begin(), own_end, [&flag](const std::string& a) {
      return a == flag || a.rfind(flag + "=", 0) == 0;
    });
    if (!given)
      out.push_back(flag + "=" + value);
  }
  out.insert(out.end(), arguments.begin(), arguments.end());
  return out;
}

namespace {

/// A list as TOML has it: CLI11 writes a default that is a list as the text "[a,b]".
std::string with_array(const std::string& line) {
  const auto start = line.find("=\"[");
  if (start == std::string::npos || !line.ends_with("]\""))
    return line;
  const auto items = line.substr(start + 3, line.size() - start - 5);
  std::string out = line.substr(0, start) + "=[";
  std::istringstream list(items);
  for (std::string item, gap; std::getline(list, item, ','); gap = ", ") {
    const bool number = item.find_first_not_of("0123456789") == std::string::npos;
    out += gap + (number ? item : '"' + item + '"');
  }
  return out + "]";
}

/// The configuration in force, without what belongs to commands: a file cannot set that.
std::string configuration_of(const CLI::App& app) {
  std::istringstream lines(app.config_to_str(true, true));
  std::string out;
  std::string described; // comment lines that belong to the option after them
  for (std::string line; std::getline(lines, line);) {
    if (line.empty() || line.front() == '#') {
      described += line + "\n";
      continue;
    }
    if (line.substr(0, line.find('=')).find('.') == std::string::npos)
      out += described + with_array(line) + "\n";
    described.clear();
  }
  return out;
}

} // namespace

std::optional<int> program::parse(int argc, const char* const* argv) {
  try {
    auto arguments = with_environment({argv + std::min(argc, 1), argv + argc});
    std::reverse(arguments.begin(), arguments.end()); // as CLI11 takes them
    app_.parse(std::move(arguments));
  } catch (const CLI::CallForHelp& e) {
    return app_.exit(e);
  } catch (const CLI::CallForVersion& e) {
    return app_.exit(e);
  } catch (const CLI::CallForAllHelp& e) {
    return app_.exit(e);
  } catch (const CLI::ParseError& e) {
    app_.exit(e);
    return exit_usage;
  }
  if (print_config_) {
    std::cout << configuration_of(app_);
    return exit_ok;
  }
  return std::nullopt;
}

std::optional<int> start_process(const std::string& name, const common_options& o) {
  const auto level = o.log_level == "debug"     ? log_level::debug
                     : o.log_level == "warning" ? log_level::warning
                     : o.log_level == "error"   ? log_level::error
                                                : log_level::info;
  start_log(name, level, o.log_format == "json" ? log_format::json : log_format::text);
  // Blocked here and in every thread made later: only wait_for_stop_signal takes them.
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGTERM);
  if (pthread_sigmask(SIG_BLOCK, &set, nullptr) != 0 || std::signal(SIGPIPE, SIG_IGN) == SIG_ERR)
    return exit_internal;
  if ((o.secure_heap_bytes & (o.secure_heap_bytes - 1)) != 0) {
    log_error("process.secure_heap",
              {{"option", "--secure-heap-bytes"}, {"expected", "a power of two"}});
    return exit_configuration;
  }
  if (!crypto::start_secure_heap(o.secure_heap_bytes))
    log_warning("process.secure_heap",
                {{"detail", "memory for secrets could not be locked; raise LimitMEMLOCK"}});
  return std::nullopt;
}

int wait_for_stop_signal() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGTERM);
  if (!notify_service_manager("READY=1"))
    log_warning("process.notify", {{"detail", "the service manager was not told"}});
  int received = 0;
  while (sigwait(&set, &received) != 0) {
  }
  notify_service_manager("STOPPING=1");
  log_info("process.stopping", {{"signal", received == SIGINT ? "SIGINT" : "SIGTERM"}});
  return received;
}

void start_shutdown_watchdog(std::chrono::seconds limit) {
  std::thread([limit] {
    std::this_thread::sleep_for(limit); // the one sleep: a bound on everything else
    log_error("process.stop_timeout", {{"seconds", std::to_string(limit.count())}});
    std::_Exit(exit_internal);
  }).detach();
}

clock_source system_clock_source() {
  return [] {
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    return std::chrono::duration_cast<std::chrono::seconds>(now).count();
  };
}

std::optional<host_port> parse_listen(const std::string& text) {
  const auto colon = text.rfind(':');
  if (colon == std::string::npos || colon == 0)
    return std::nullopt;
  host_port result;
  result.host = text.substr(0, colon);
  if (result.host.front() == '[') {
    if (result.host.size() < 3 || result.host.back() != ']')
      return std::nullopt;
    result.host = result.host.substr(1, result.host.size() - 2);
  } else if (result.host.find(':') != std::string::npos) {
    return std::nullopt; // an IPv6 address without brackets: where the port begins is a guess
  }
  unsigned port = 0;
  const char* const end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data() + colon + 1, end, port);
  if (parsed.ec != std::errc{} || parsed.ptr != end || port > 65535)
    return std::nullopt;
  result.port = static_cast<std::uint16_t>(port);
  return result;
}

unsigned actor_threads(unsigned configured) {
  if (configured != 0)
    return configured;
  return std::max(2U, std::thread::hardware_concurrency());
}

int exit_code_of_start(const error& why) {
  const bool passes = why.code == errc::unavailable || why.code == errc::io_failure ||
                      (why.code == errc::storage_failure && why.field.empty());
  return passes ? exit_unavailable : exit_configuration;
}

} // namespace custos::runtime
