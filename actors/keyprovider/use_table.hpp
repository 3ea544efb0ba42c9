#pragma once
// How often, and when last, each primary key was needed on this node: to say when an old one may
// be retired. Counted are keys that opened something: decrypt, and rewrap of what was under another
// key than the present one. Thread-safe.
//
// What a process that is killed has counted since the last write is lost (use_records_actor.hpp:
// at most a minute).

#include "messages/error.hpp"

#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace custos::keyprovider {

/// Primary keys of all providers that are counted. With more the table says that it is not
/// complete.
inline constexpr std::size_t counted_keys_max = 4096;

enum class counted_use : std::uint8_t { decrypt, rewrap };

struct primary_key_uses {
  std::string provider;
  std::string primary_key_id;
  std::uint64_t decrypts = 0;
  std::uint64_t rewraps = 0;
  std::int64_t last_decrypt = 0; ///< unix seconds, 0: never
  std::int64_t last_rewrap = 0;
};

class use_table {
public:
  /// `since`: when counting began, unix seconds.
  explicit use_table(std::int64_t since) : since_(since) {}

  void count(std::string_view provider, std::string_view primary_key_id, counted_use use,
             std::int64_t now);
  /// Of one provider, by key id.
  [[nodiscard]] std::vector<primary_key_uses> of(std::string_view provider) const;
  [[nodiscard]] std::int64_t since() const { return since_; }
  /// Whether every use since then was counted.
  [[nodiscard]] bool complete() const;

  /// What changed since this was called last, to be stored.
  std::vector<primary_key_uses> take_changed();
  /// Puts changes that could not be stored back among what changed.
  void changed_again(const std::vector<primary_key_uses>& which);
  /// As stored; before the first use.
  void restore(primary_key_uses stored);

private:
  struct entry {
    primary_key_uses uses;
    bool changed = false;
  };
  using keys = std::map<std::string, entry, std::less<>>;
  entry* place_of(std::string_view provider, std::string_view primary_key_id);

  mutable std::mutex mutex_;
  std::map<std::string, keys, std::less<>> providers_;
  std::size_t size_ = 0;
  bool complete_ = true;
  std::int64_t since_;
};

/// As stored: JSON. Members of a newer version are passed over.
std::string encode_uses(const primary_key_uses& uses);
/// errc::corrupted.
result<primary_key_uses> decode_uses(std::string_view document);

/// As the API shows a provider's: JSON. `present` is the provider's primary key now.
std::string uses_document(const use_table& table, std::string_view node, std::string_view provider,
                          std::string_view present);

} // namespace custos::keyprovider
