#pragma once
// An ordered key-value store: RocksDB on disk, or its twin in memory for tests. Narrow on purpose:
// what the ConfigStore needs and nothing else. Every write is atomic, and on disk (write-ahead log
// synced) when it returns unless the caller can do without.
//
// Thread rule: all functions may be called from any thread.

#include "messages/bytes.hpp"
#include "messages/error.hpp"

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace custos::rocksdb {

inline constexpr std::size_t key_bytes_max = 512;
inline constexpr std::size_t value_bytes_max = 16U << 20U;
/// Most entries one scan returns; more is errc::too_large.
inline constexpr std::size_t scan_entries_max = 1U << 20U;

struct kv_entry {
  std::string key;
  bytes value;
};

/// Changes that happen together or not at all, in order.
class write_batch {
public:
  struct change {
    std::string key;
    std::optional<bytes> value; ///< nothing: the key is erased
    bool prefix = false;        ///< erased are all keys that begin so
  };
  void put(std::string key, bytes value) {
    changes_.push_back({std::move(key), std::move(value), false});
  }
  void put(std::string key, std::string_view value) { put(std::move(key), to_bytes(value)); }
  void erase(std::string key) { changes_.push_back({std::move(key), std::nullopt, false}); }
  /// Everything that a scan of this prefix gives; what is put later in the batch stays.
  void erase_prefix(std::string prefix) {
    changes_.push_back({std::move(prefix), std::nullopt, true});
  }
  [[nodiscard]] const std::vector<change>& changes() const { return changes_; }
  [[nodiscard]] bool empty() const { return changes_.empty(); }

private:
  std::vector<change> changes_;
};

enum class durability : std::uint8_t {
  synced = 1, ///< on disk when the write returns
  buffered,   ///< in the write-ahead log, on disk with the next synced write: a loss of power may
              ///< undo the last such writes, in their order, never one without those after it
};

/// Errors of all functions: errc::corrupted (a checksum of the store does not hold),
/// errc::storage_failure (the disk), errc::invalid_argument and errc::too_large (keys and values
/// beyond the limits above).
class kv_store {
public:
  kv_store() = default;
  kv_store(const kv_store&) = delete;
  kv_store& operator=(const kv_store&) = delete;
  virtual ~kv_store() = default;

  /// The value, or nothing if there is no such key.
  virtual result<std::optional<bytes>> get(std::string_view key) const = 0;
  /// All entries whose key begins with `prefix`, by key, as of one moment.
  virtual result<std::vector<kv_entry>> scan(std::string_view prefix) const = 0;
  /// The same one by one, however many there are. What `see` is shown is valid during its call; an
  /// error of it ends the visit and is returned.
  using visitor = std::function<result<void>(std::string_view key, byte_view value)>;
  virtual result<void> visit(std::string_view prefix, const visitor& see) const;
  /// On disk as the caller needs it when it returns. After errc::storage_failure it is unknown
  /// whether the batch is there: read before going on. No later write succeeds until the store was
  /// opened again (open_options::heals).
  virtual result<void> write(const write_batch& batch, durability how = durability::synced) = 0;
};

struct open_options {
  /// Make the store if there is none; else that is errc::not_found.
  bool create = false;
  /// The write after a failed one opens the store again. For stores whose changes stand each for
  /// itself; a log that goes on after a lost entry would be damaged.
  bool heals = false;
};

/// Opens a RocksDB store. One process at a time: errc::unavailable if another one has it open.
/// Tuned for a small store in little memory; nothing is compressed.
result<std::shared_ptr<kv_store>> open_store(const std::filesystem::path& directory,
                                             const open_options& options = {});

/// The twin: same answers, nothing on disk.
std::shared_ptr<kv_store> make_memory_store();

} // namespace custos::rocksdb
