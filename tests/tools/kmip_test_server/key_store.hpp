#pragma once
// The keys of the KMIP test server: in memory, or in a file that several servers share, as servers
// that replicate each other do. Thread-safe. Keys are test keys: the file holds them in clear.

#include "adapters/kmip/tags.hpp"
#include "messages/bytes.hpp"
#include "messages/error.hpp"

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <sys/stat.h>
#include <vector>

namespace custos::kmip_test_server {

struct stored_key {
  std::string id;
  std::string name; ///< may be empty
  kmip::state state = kmip::state::pre_active;
  std::uint32_t usage = kmip::usage_encrypt | kmip::usage_decrypt;
  bytes material; ///< empty once destroyed
};
using key_ptr = std::shared_ptr<const stored_key>;

class key_store {
public:
  /// `file` empty: in memory. A file that is not there is made with the first key.
  explicit key_store(std::string file);

  /// Null: there is none, or it is hidden.
  key_ptr find(std::string_view id);
  /// Any key but that one; null if there is none.
  key_ptr other_than(std::string_view id);
  /// Of every key: empty, or its name and state ask for.
  std::vector<std::string> locate(std::string_view name, std::uint32_t state);
  /// With a fresh identifier unless it has one.
  result<std::string> add(stored_key key);
  /// Not found: errc::not_found.
  result<void> change(std::string_view id, const std::function<void(stored_key&)>& how);
  /// A hidden key is as if it were lost; only this server hides it.
  void hide(const std::string& id, bool hidden);

private:
  using keys = std::map<std::string, key_ptr, std::less<>>;
  /// Reads the file if another server wrote it.
  void refresh();
  void read();
  result<void> update(const std::function<result<void>(keys&)>& how);
  result<void> write() const;

  std::string file_;
  std::mutex mutex_;
  keys keys_;
  std::set<std::string, std::less<>> hidden_;
  struct ::stat seen_ {};
};

} // namespace custos::kmip_test_server
