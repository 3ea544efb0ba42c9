#include "adapters/rocksdb/limits.hpp"

#include <map>
#include <mutex>

namespace custos::rocksdb {

namespace {

class memory_store final : public kv_store {
public:
  result<std::optional<bytes>> get(std::string_view key) const override {
    CUSTOS_CHECK(check_key(key));
    const std::lock_guard guard(mutex_);
    const auto found = entries_.find(key);
    if (found == entries_.end())
      return std::optional<bytes>{};
    return std::optional<bytes>{found->second};
  }

  result<std::vector<kv_entry>> scan(std::string_view prefix) const override {
    const std::lock_guard guard(mutex_);
    std::vector<kv_entry> out;
    for (auto i = entries_.lower_bound(prefix);
         i != entries_.end() && std::string_view(i->first).substr(0, prefix.size()) == prefix;
         ++i) {
      if (out.size() == scan_entries_max)
        return too_many_entries(prefix);
      out.push_back({i->first, i->second});
    }
    return out;
  }

  result<void> write(const write_batch& batch, durability) override {
    CUSTOS_CHECK(check_batch(batch));
    const std::lock_guard guard(mutex_);
    for (const auto& change : batch.changes()) {
      if (change.value)
        entries_.insert_or_assign(change.key, *change.value);
      else if (change.prefix)
        erase_all(change.key);
      else
        entries_.erase(change.key);
    }
    return {};
  }

private:
  void erase_all(std::string_view prefix) {
    auto i = entries_.lower_bound(prefix);
    while (i != entries_.end() && i->first.starts_with(prefix))
      i = entries_.erase(i);
  }

  mutable std::mutex mutex_;
  std::map<std::string, bytes, std::less<>> entries_;
};

} // namespace

std::shared_ptr<kv_store> make_memory_store() {
  return std::make_shared<memory_store>();
}

} // namespace custos::rocksdb
