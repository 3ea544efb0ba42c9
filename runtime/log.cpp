#include "runtime/log.hpp"

#include "adapters/json/quoted.hpp"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

namespace custos::runtime {

namespace {

/// A line longer than this is cut: a peer's bytes must not fill the disk.
constexpr std::size_t field_bytes_max = 2048;

std::shared_ptr<spdlog::logger>& logger() {
  static std::shared_ptr<spdlog::logger> instance = spdlog::stderr_logger_mt("custos");
  return instance;
}

log_format& format_in_use() {
  static log_format format = log_format::text;
  return format;
}

std::string_view name_of(log_level level) {
  switch (level) {
  case log_level::debug:
    return "debug";
  case log_level::info:
    return "info";
  case log_level::warning:
    return "warning";
  case log_level::error:
    return "error";
  }
  return "info";
}

spdlog::level::level_enum to_spdlog(log_level level) {
  switch (level) {
  case log_level::debug:
    return spdlog::level::debug;
  case log_level::info:
    return spdlog::level::info;
  case log_level::warning:
    return spdlog::level::warn;
  case log_level::error:
    return spdlog::level::err;
  }
  return spdlog::level::info;
}

/// No field can start a line of its own or move the terminal (log injection).
std::string json_quoted(std::string_view text) {
  std::string out;
  json::append_quoted(out, text, field_bytes_max);
  return out;
}

bool needs_quotes(std::string_view text) {
  if (text.empty() || text.size() > field_bytes_max)
    return true;
  for (const char c : text)
    if (c <= ' ' || c > '~' || c == '"' || c == '=')
      return true;
  return false;
}

} // namespace

std::string format_log_line(log_format format, log_level level, std::string_view event,
                            std::initializer_list<log_field> fields) {
  std::string line;
  if (format == log_format::json) {
    line.append("\"level\":\"")
        .append(name_of(level))
        .append("\",\"event\":")
        .append(json_quoted(event));
    for (const auto& f : fields)
      line.append(",").append(json_quoted(f.name)).append(":").append(json_quoted(f.value));
    return line;
  }
  line.append(name_of(level)).append(" ").append(event);
  for (const auto& f : fields)
    line.append(" ").append(f.name).append("=").append(needs_quotes(f.value) ? json_quoted(f.value)
                                                                             : f.value);
  return line;
}

void start_log(std::string_view program, log_level level, log_format format) {
  format_in_use() = format;
  auto& out = logger();
  out->set_level(to_spdlog(level));
  out->flush_on(spdlog::level::debug);
  if (format == log_format::json)
    out->set_pattern("{\"time\":\"%Y-%m-%dT%H:%M:%S.%eZ\",\"program\":\"" + std::string(program) +
                         "\",%v}",
                     spdlog::pattern_time_type::utc);
  else
    out->set_pattern("%Y-%m-%dT%H:%M:%S.%eZ " + std::string(program) + " %v",
                     spdlog::pattern_time_type::utc);
}

void log(log_level level, std::string_view event, std::initializer_list<log_field> fields) {
  auto& out = logger();
  if (!out->should_log(to_spdlog(level)))
    return;
  // Passed as an argument, never as a format string: fields may hold braces.
  out->log(to_spdlog(level), "{}", format_log_line(format_in_use(), level, event, fields));
}

} // namespace custos::runtime
