#pragma once
// What the host keeps of its rewraps across restarts. Pure.

#include "adapters/rocksdb/kv_store.hpp"
#include "messages/error.hpp"

#include <cstdint>

namespace custos::host {

struct rewrap_totals {
  std::int64_t last_rewrap = 0; ///< unix seconds; 0: never
  std::uint64_t rewrapped = 0;
};

/// Zeros where nothing is kept; errc::corrupted if what is kept does not read.
result<rewrap_totals> load_rewrap_totals(const rocksdb::kv_store& store);
result<void> save_rewrap_totals(rocksdb::kv_store& store, const rewrap_totals& totals);

} // namespace custos::host
