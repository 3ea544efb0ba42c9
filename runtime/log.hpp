#pragma once
// The program's log: one line an event, text or JSON. Never given secrets: fields are plain strings
// and secret_bytes has no conversion to them. Thread-safe.

#include <initializer_list>
#include <string>
#include <string_view>

namespace custos::runtime {

enum class log_level : int { debug, info, warning, error };
enum class log_format : int { text, json };

struct log_field {
  std::string_view name;
  std::string value;
};

/// Sets level and format, once, at start-up. Lines go to standard error.
void start_log(std::string_view program, log_level level, log_format format);

/// `event` is a stable dotted name ("node.listening"); details go to fields.
void log(log_level level, std::string_view event, std::initializer_list<log_field> fields = {});

inline void log_info(std::string_view event, std::initializer_list<log_field> fields = {}) {
  log(log_level::info, event, fields);
}
inline void log_warning(std::string_view event, std::initializer_list<log_field> fields = {}) {
  log(log_level::warning, event, fields);
}
inline void log_error(std::string_view event, std::initializer_list<log_field> fields = {}) {
  log(log_level::error, event, fields);
}

/// The line that log() would write, without time: for tests.
std::string format_log_line(log_format format, log_level level, std::string_view event,
                            std::initializer_list<log_field> fields);

} // namespace custos::runtime
