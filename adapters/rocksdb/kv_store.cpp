#include "adapters/rocksdb/kv_store.hpp"

#include "adapters/rocksdb/limits.hpp"

#include <cstdarg>
#include <mutex>
#include <rocksdb/cache.h>
#include <rocksdb/db.h>
#include <rocksdb/env.h>
#include <rocksdb/listener.h>
#include <rocksdb/table.h>
#include <rocksdb/write_batch.h>

namespace custos::rocksdb {

namespace {

namespace rdb = ::rocksdb;

// A configuration of megabytes, written seldom: memory and files before throughput.
constexpr std::size_t write_buffer_bytes = 1U << 20U;
constexpr std::size_t block_cache_bytes = 1U << 20U;
constexpr std::uint64_t wal_bytes_max = 8U << 20U;
constexpr int open_files_max = 32;
constexpr std::size_t readahead_bytes = 256U << 10U; // of visits: they read all there is

error failure_of(const rdb::Status& status, std::string_view doing) {
  const auto message = std::string(doing) + ": " + status.ToString();
  if (status.IsCorruption())
    return make_error(errc::corrupted, message);
  return make_error(errc::storage_failure, message);
}

rdb::Slice slice(std::string_view text) {
  return {text.data(), text.size()};
}
rdb::Slice slice(const bytes& octets) {
  return slice(as_text(octets));
}

/// A store that failed to write stays failed until it is opened again. RocksDB would try to go on
/// by itself when there is room; the next record then fails an assertion of its own (7.8.3, in the
/// writer of a log whose last record is incomplete), which ends the process.
class no_recovery final : public rdb::EventListener {
public:
  void OnErrorRecoveryBegin(rdb::BackgroundErrorReason, rdb::Status, bool* recovers) override {
    *recovers = false;
  }
};

/// What went wrong is in the status of a call. RocksDB's own log is a file on the same disk: when
/// that is full, the next line fails the same assertion.
class no_log final : public rdb::Logger {
public:
  using rdb::Logger::Logv;
  void Logv(const char*, va_list) override {}
};

rdb::Options options_for(bool create) {
  rdb::Options o;
  o.info_log = std::make_shared<no_log>();
  o.listeners.push_back(std::make_shared<no_recovery>());
  o.create_if_missing = create;
  o.error_if_exists = create;
  o.paranoid_checks = true;
  // Only an unfinished last record may be missing after a crash: it was never acknowledged. Any
  // other damage of the log is an error, never a silent step back to an older state.
  o.wal_recovery_mode = rdb::WALRecoveryMode::kTolerateCorruptedTailRecords;
  o.track_and_verify_wals_in_manifest = true;
  // Uncompressed, so that a test can look for secrets in the files.
  o.compression = rdb::kNoCompression;
  o.write_buffer_size = write_buffer_bytes;
  o.max_write_buffer_number = 2;
  o.max_total_wal_size = wal_bytes_max;
  o.max_open_files = open_files_max;
  o.max_background_jobs = 1;
  o.max_file_opening_threads = 1;
  o.stats_dump_period_sec = 0;
  o.stats_persist_period_sec = 0;
  rdb::BlockBasedTableOptions table;
  table.block_cache = rdb::NewLRUCache(block_cache_bytes, 0);
  table.cache_index_and_filter_blocks = true;
  table.checksum = rdb::ChecksumType::kXXH3;
  o.table_factory.reset(rdb::NewBlockBasedTableFactory(table));
  return o;
}

/// The least key that is greater than all that begin with the prefix; empty if there is none.
std::string after_prefix(std::string prefix) {
  while (!prefix.empty() && static_cast<std::uint8_t>(prefix.back()) == 0xFF)
    prefix.pop_back();
  if (!prefix.empty())
    prefix.back() = static_cast<char>(static_cast<std::uint8_t>(prefix.back()) + 1);
  return prefix;
}

/// About what the batch takes in RocksDB's form, so that a large one is not moved while it grows.
std::size_t size_of(const write_batch& batch) {
  constexpr std::size_t overhead = 32;
  std::size_t out = overhead;
  for (const auto& change : batch.changes())
    out += overhead + change.key.size() + (change.value ? change.value->size() : 0);
  return out;
}

/// RocksDB says "lock" for both: its file lock, and its own table of open stores.
bool is_locked(const rdb::Status& status) {
  const auto text = status.ToString();
  return status.IsIOError() && text.find("lock") != std::string::npos;
}

result<std::shared_ptr<rdb::DB>> open_database(const std::filesystem::path& directory,
                                               bool create) {
  rdb::DB* opened = nullptr;
  const auto status = rdb::DB::Open(options_for(create), directory.string(), &opened);
  std::shared_ptr<rdb::DB> db(opened);
  if (!status.ok() && is_locked(status))
    return make_error(errc::unavailable, "another process has " + directory.string() + " open");
  if (!status.ok())
    return failure_of(status, "opening " + directory.string());
  return db;
}

class rocksdb_store final : public kv_store {
public:
  rocksdb_store(std::shared_ptr<rdb::DB> db, std::filesystem::path directory, bool heals)
      : directory_(std::move(directory)), heals_(heals), db_(std::move(db)) {}

  result<std::optional<bytes>> get(std::string_view key) const override {
    CUSTOS_CHECK(check_key(key));
    CUSTOS_TRY(const auto db, opened());
    rdb::PinnableSlice value;
    const auto status = db->Get(reading(), db->DefaultColumnFamily(), slice(key), &value);
    if (status.IsNotFound())
      return std::optional<bytes>{};
    if (!status.ok())
      return failure_of(status, "reading " + std::string(key));
    return std::optional<bytes>{to_bytes(value.ToStringView())};
  }

  result<std::vector<kv_entry>> scan(std::string_view prefix) const override {
    std::vector<kv_entry> out;
    CUSTOS_CHECK(visit(prefix, [&](std::string_view key, byte_view value) -> result<void> {
      if (out.size() == scan_entries_max)
        return too_many_entries(prefix);
      out.push_back({std::string(key), bytes(value.begin(), value.end())});
      return {};
    }));
    return out;
  }

  result<void> visit(std::string_view prefix, const visitor& see) const override {
    CUSTOS_TRY(const auto db, opened());
    // An iterator sees the store as of its creation.
    auto options = reading();
    options.readahead_size = readahead_bytes;
    const std::unique_ptr<rdb::Iterator> i(db->NewIterator(options));
    for (i->Seek(slice(prefix)); i->Valid() && i->key().starts_with(slice(prefix)); i->Next())
      CUSTOS_CHECK(see(i->key().ToStringView(), as_bytes(i->value().ToStringView())));
    // An iterator that met damage is just as invalid as one that came to the end.
    if (!i->status().ok())
      return failure_of(i->status(), "reading " + std::string(prefix));
    return {};
  }

  result<void> write(const write_batch& batch, durability how) override {
    CUSTOS_CHECK(check_batch(batch));
    rdb::WriteBatch changes(size_of(batch));
    for (const auto& change : batch.changes()) {
      const auto status = collect(change, changes);
      if (!status.ok())
        return failure_of(status, "collecting changes");
    }
    rdb::WriteOptions options;
    options.sync = how == durability::synced;
    // One at a time: RocksDB lets in a write of another thread while it handles the failure of one.
    const std::lock_guard guard(writing_);
    if (failed_)
      CUSTOS_CHECK(open_again());
    CUSTOS_TRY(const auto db, opened());
    const auto status = db->Write(options, &changes);
    if (!status.ok())
      return failed_.emplace(failure_of(status, "writing"));
    return {};
  }

private:
  static rdb::Status collect(const write_batch::change& change, rdb::WriteBatch& into) {
    if (change.value)
      return into.Put(slice(change.key), slice(*change.value));
    if (!change.prefix)
      return into.Delete(slice(change.key));
    // Erased is a range that its end is not part of.
    const auto end = after_prefix(change.key);
    if (!end.empty())
      return into.DeleteRange(slice(change.key), slice(end));
    return rdb::Status::InvalidArgument("nothing comes after this prefix");
  }

  static rdb::ReadOptions reading() {
    rdb::ReadOptions o;
    o.verify_checksums = true;
    return o;
  }

  result<std::shared_ptr<rdb::DB>> opened() const {
    const std::lock_guard guard(opening_);
    if (!db_)
      return make_error(errc::storage_failure, directory_.string() + " is closed since it failed");
    return db_;
  }

  /// After a failed write. Fails while somebody reads, too: the next write tries again.
  result<void> open_again() {
    if (!heals_)
      return *failed_;
    const std::lock_guard guard(opening_);
    db_.reset(); // one process, one handle
    auto again = open_database(directory_, false);
    if (!again)
      return again.failure();
    db_ = *std::move(again);
    failed_.reset();
    return {};
  }

  const std::filesystem::path directory_;
  const bool heals_;
  mutable std::mutex opening_;
  std::shared_ptr<rdb::DB>
      db_; ///< guarded by opening_; none: it failed and could not be opened again
  std::mutex writing_;
  std::optional<error> failed_; ///< guarded by writing_
};

result<std::shared_ptr<kv_store>> open_checked(const std::filesystem::path& directory,
                                               const open_options& options) {
  std::error_code failed;
  const bool there = std::filesystem::exists(directory / "CURRENT", failed);
  if (failed)
    return make_error(errc::storage_failure,
                      "looking at " + directory.string() + ": " + failed.message());
  if (!there && !options.create)
    return make_error(errc::not_found, "there is no store in " + directory.string());
  CUSTOS_TRY(auto db, open_database(directory, !there));
  return std::shared_ptr<kv_store>(
      std::make_shared<rocksdb_store>(std::move(db), directory, options.heals));
}

} // namespace

result<void> kv_store::visit(std::string_view prefix, const visitor& see) const {
  CUSTOS_TRY(const auto entries, scan(prefix));
  for (const auto& entry : entries)
    CUSTOS_CHECK(see(entry.key, entry.value));
  return {};
}

result<std::shared_ptr<kv_store>> open_store(const std::filesystem::path& directory,
                                             const open_options& options) {
  try {
    return open_checked(directory, options);
  } catch (const std::exception& e) { // RocksDB throws when threads cannot be made
    return make_error(errc::storage_failure, "opening " + directory.string() + ": " + e.what());
  }
}

} // namespace custos::rocksdb
