#include "actors/host/logs.hpp"

#include "actors/host/files.hpp"
#include "adapters/ima/ima.hpp"

namespace custos::host {

result<bytes> read_event_log(const std::filesystem::path& file) {
  auto log = read_file(file, event_log_bytes_max, "boot event log");
  if (log)
    return log;
  auto e = std::move(log).failure();
  if (e.code == errc::not_found)
    e.message += "; is securityfs mounted on /sys/kernel/security, and did the firmware hand its "
                 "log to the kernel?";
  if (e.code == errc::forbidden)
    e.message += "; the agent runs as root, or with CAP_DAC_READ_SEARCH";
  return e;
}

result<bytes> read_ima_log(const std::filesystem::path& file) {
  if (file.empty())
    return bytes{};
  auto log = read_file(file, ima_log_bytes_max, "IMA log");
  if (!log && log.failure().code == errc::not_found)
    return bytes{};
  return log;
}

result<bytes> ima_log_from(byte_view log, std::uint64_t entries) {
  ima::limits limits;
  limits.log_bytes_max = ima_log_bytes_max;
  limits.entries_max = ima_entries_max;
  CUSTOS_TRY(const auto parsed, ima::parse(log, limits));
  if (entries > parsed.entries.size())
    return make_error(errc::invalid_argument, "the IMA log has fewer entries");
  if (entries == parsed.entries.size())
    return bytes{};
  return to_bytes(log.subspan(parsed.entries[static_cast<std::size_t>(entries)].offset));
}

} // namespace custos::host
