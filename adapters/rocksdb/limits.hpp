#pragma once
// What both stores refuse alike. Nobody outside this room includes this.

#include "adapters/rocksdb/kv_store.hpp"

namespace custos::rocksdb {

inline result<void> check_key(std::string_view key) {
  if (key.empty())
    return field_error(errc::invalid_argument, "key", "expected a key that is not empty");
  if (key.size() > key_bytes_max)
    return field_error(errc::too_large, "key",
                       "expected a key of at most " + std::to_string(key_bytes_max) + " bytes");
  return {};
}

inline result<void> check_batch(const write_batch& batch) {
  for (const auto& change : batch.changes()) {
    CUSTOS_CHECK(check_key(change.key));
    if (change.prefix && static_cast<std::uint8_t>(change.key.front()) == 0xFF)
      return field_error(errc::invalid_argument, "prefix",
                         "expected a prefix that begins with less than the octet 255");
    if (change.value && change.value->size() > value_bytes_max)
      return field_error(errc::too_large, "value",
                         "expected a value of at most " + std::to_string(value_bytes_max) +
                             " bytes");
  }
  return {};
}

inline error too_many_entries(std::string_view prefix) {
  return make_error(errc::too_large, "more than " + std::to_string(scan_entries_max) +
                                         " entries under " + std::string(prefix));
}

} // namespace custos::rocksdb
